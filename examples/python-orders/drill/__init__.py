"""A drill: the whole application, with a broker that is killed while orders flow."""
