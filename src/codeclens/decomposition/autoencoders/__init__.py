"""The sparse autoencoders: one interface, one trainer, seven ways to make codes sparse."""

from codeclens.decomposition.autoencoders.batch_topk import BatchTopK
from codeclens.decomposition.autoencoders.gated import Gated
from codeclens.decomposition.autoencoders.jump_relu import JumpReLU
from codeclens.decomposition.autoencoders.matryoshka import Matryoshka
from codeclens.decomposition.autoencoders.relu import ReLUSAE
from codeclens.decomposition.autoencoders.threshold import ThresholdSAE
from codeclens.decomposition.autoencoders.topk import TopK

__all__ = ["BatchTopK", "Gated", "JumpReLU", "Matryoshka", "ReLUSAE", "ThresholdSAE", "TopK"]
