"""What one of several processes does in `test_team.py`: train its share, and tell the outcome."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import torch

from codeclens.decomposition import Logbook, TopK

if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    X = np.load(folder / "X.npy", allow_pickle=False)
    method = TopK(n_modes=40, k=3, epochs=6, batch_size=33, aux_weight=0.1)
    method = method.fit(X, seed=0, logbook=Logbook(folder / sys.argv[2]))
    np.save(folder / f"{sys.argv[2]}.{os.environ.get('RANK', '0')}.npy", method.dictionary)
