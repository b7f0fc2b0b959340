"""Ask models many calls for money: with a budget, a journal that pays for nothing twice, and the proxy's forwarding."""
