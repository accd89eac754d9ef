"""The sparse autoencoders: one interface, one trainer, seven ways to make codes sparse."""

from codeclens.decomposition.autoencoders.relu import Gated, JumpReLU, ReLUSAE
from codeclens.decomposition.autoencoders.threshold import ThresholdSAE
from codeclens.decomposition.autoencoders.topk import BatchTopK, Matryoshka, TopK

__all__ = ["BatchTopK", "Gated", "JumpReLU", "Matryoshka", "ReLUSAE", "ThresholdSAE", "TopK"]
