/* What the rules of projects say to people. */
#include "api/resources.h"

const struct text projects_rules[] = {
    { "project_period_invalid", 422, "/ends_on",
      "Satsningen slutar inte innan den börjar, och betalas minst till dess slut.",
      "A project does not end before it begins, and is paid at least until its end." },
    { "project_has_target_group", 422, "/target_groups", "Satsningen har minst en målgrupp.",
      "A project has at least one target group." },
    { "budget_of_category_or_group", 422, "/budgets",
      "En budgetrad är för ett behov eller en grupp av behov, inte båda.",
      "A line of the budget is for one kind of need or one group of them, not both." },
    { "budget_repeated", 422, "/budgets", "Samma behov eller grupp står två gånger i budgeten.",
      "The budget names the same kind or group of needs twice." },
    { "catchment_contradicts", 0, NULL, "Satsningen gäller hela landet, eller de län och kommuner som räknas upp.",
      "A project is national, or for the counties and municipalities that are listed." },
    { "project_is_closed", 0, NULL, "Satsningen är stängd.", "The project is closed." },
    { "project_has_promises", 0, NULL, "Pengar är redan beviljade ur satsningen: dess början ligger fast.",
      "Money of the project is promised already: its beginning stands." },
    { "promised_outside_period", 0, NULL, "Pengar är beviljade ur satsningen efter den dag då den skulle sluta.",
      "Money of the project was promised later than the day on which it would end." },
    { "project_narrowed", 0, NULL, "Pengar är redan beviljade ur satsningen: område och målgrupper kan bara bli fler.",
      "Money of the project is promised already: its catchment and target groups may only grow." },
    { "promises_unpaid", 0, NULL, "Pengar som är beviljade ur satsningen är inte betalda än.",
      "Money that is promised of the project is not paid yet." },
    { 0 },
};
