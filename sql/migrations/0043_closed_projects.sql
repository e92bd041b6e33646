-- A decision looks at its project before it waits for the account's turn: closed meanwhile, the project promises nothing.

SET LOCAL ROLE utvag_owner;

CREATE FUNCTION refuse_closed_project() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM projects p WHERE p.id = NEW.project_id AND p.closed_on IS NOT NULL) THEN
        PERFORM refuse_gates('{project_closed}');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER closed_project_promises_nothing AFTER UPDATE OF reserved_ore ON accounts FOR EACH ROW
    WHEN (NEW.project_id IS NOT NULL AND NEW.reserved_ore > OLD.reserved_ore) EXECUTE FUNCTION refuse_closed_project();

CALL guard_tables();
