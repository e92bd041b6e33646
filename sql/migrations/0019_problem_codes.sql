-- The codes of errors are a list as others are. Its codes are the service's own, which knows their texts: it answers for them.

SET LOCAL ROLE utvag_owner;

INSERT INTO code_lists (list, label_sv, label_en) VALUES ('problems', 'Felkoder', 'Problem codes');

-- Named for the rule, as its name is told.
ALTER TABLE principals RENAME CONSTRAINT principals_agency_id_fkey TO agency_unknown;

CALL guard_tables();
