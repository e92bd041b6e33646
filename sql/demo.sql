-- The demo's agencies: fictional, and flagged. Users and clients are made by `utvag demo`, which seals their names; the
-- cases by requests (demo.json).

INSERT INTO agencies (id, name, kind, organisation_number, municipality_code, demo) VALUES
    ('d0000000-0000-4000-8000-000000000001', 'Socialtjänsten i Almby (demo)', 'municipality', '2120001355', '1880', true),
    ('d0000000-0000-4000-8000-000000000002', 'Socialtjänsten i Strandvik (demo)', 'municipality', '2120009879', '1480', true),
    ('d0000000-0000-4000-8000-000000000003', 'Föreningen Fyrens stödboende (demo)', 'ngo', '8020001239', NULL, true);
