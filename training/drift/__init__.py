"""Watch a served router from its decision log: traffic, calibration, cost, prices, and which models answer."""
