"""The sparse autoencoders: one interface, one trainer, seven ways to make codes sparse."""
