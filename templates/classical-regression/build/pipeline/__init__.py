"""Clinical risk of diabetes progression: prepare, train, evaluate, register."""
