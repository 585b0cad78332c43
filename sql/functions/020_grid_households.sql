-- Households and persons of every base grid as numbers only: the one door through which maps and analysis
-- learn of households. It runs with its owner's rights, so its readers need none on the tables behind it.
CREATE OR REPLACE VIEW grid_households AS
SELECT b.grid_id, count(*)::integer AS households, sum(h.persons)::integer AS persons
FROM household h
JOIN dwelling d ON d.id = h.dwelling_id
JOIN building b ON b.id = d.building_id
WHERE b.grid_id IS NOT NULL AND h.ended_on IS NULL
GROUP BY b.grid_id;
