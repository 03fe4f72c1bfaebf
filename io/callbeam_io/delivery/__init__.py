"""How promotions leave the house: queued, asked for consent once more, sent or exported."""
