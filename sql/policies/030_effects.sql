-- What treating did is counts of grids and matters over towns and the city: everybody who sees maps may read it.
GRANT SELECT ON seasonal_effect TO gridmgmt_reader;
