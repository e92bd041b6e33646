/* What the rules of granting say to people: which money may go to what. */
#include "api/resources.h"

const struct text granting_rules[] = {
    { "insufficient_funds", 409, NULL, "Så mycket finns inte på kontot utöver det som redan är utlovat.",
      "The account does not hold that much beyond what is promised already." },
    { "fund_purpose_violation", 0, NULL,
      "Pengarna får inte gå till detta: barnfonden är för barn, och givare har sagt vad deras gåvor är till.",
      "The money may not go to this: the children's fund is for children, and donors have said what their gifts are for." },
    { "outside_catchment", 0, NULL,
      "Personen finns inte i projektets upptagningsområde, eller så vet vi det inte. För den som är skyddad intygar handläggaren.",
      "The person is not in the project's catchment, or that is not known. For a protected person the case worker attests it." },
    { "outside_target_group", 0, NULL, "Behovet är inte för någon i projektets målgrupp.",
      "The need is not for someone of the project's target groups." },
    { "project_closed", 0, NULL, "Projektets tid har inte börjat eller är över. Det som är utlovat kan omfinansieras.",
      "The project's time has not begun or is over. What is promised can be refinanced." },
    { "disbursements_open", 0, NULL, "En utbetalning är beställd och varken betald eller makulerad.",
      "A payment is ordered and neither paid nor cancelled." },
    { "sources_when_granted", 0, NULL, "Konton anges bara när behovet beviljas.",
      "Accounts are named only when the need is granted." },
    { "place_answers", 0, NULL, "Personen är inte skyddad: hennes kommun avgör.",
      "The person is not protected: her municipality answers this." },
    { "nothing_to_refinance", 0, NULL,
      "Raden gäller inte längre, eller så är det som var kvar beställt, betalt eller ändrat.",
      "The line does not stand any more, or what was left of it is ordered, paid or changed." },
    { 0 },
};
