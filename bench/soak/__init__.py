"""Load and endurance: servers, relays and clients in processes of their own, and who watches them."""
