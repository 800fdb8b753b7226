"""Reference data from elsewhere: calendars, factor and map files, tables of facts."""
