"""From texts to vectors to nearest neighbours."""
