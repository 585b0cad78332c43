"""What treating beforehand did: the honest figure of every category, and what next year may count on."""
