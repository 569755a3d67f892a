-- Which attempts a database holds at all; what a selection that finds none may name instead.
SELECT a.name AS attack, a.pixels, t.seed, COUNT(*) AS attempts
FROM attempt t
JOIN attack a ON a.id = t.attack_id
GROUP BY a.name, a.pixels, t.seed
ORDER BY a.name, a.pixels, t.seed
