"""Around the deciding: the inbox, reading ahead, routing, reports, and what is done once a second."""
