"""Robust accuracy of one of our weights files under the published AutoAttack (standard), beside `eval`.

    pip install -r tests/reference/requirements.txt
    PYTHONPATH=tests/reference python tests/reference/attack/autoattack.py weights/FILE.safetensors CIFAR10_FOLDER --images 256
    gradproof eval --weights weights/FILE.safetensors --data cifar10:CIFAR10_FOLDER --limit 256 \\
        --attack standard --eps 8/255

Prints how many images are right, clean and after APGD-CE, APGD-T, FAB-T and Square, each on those that
are left. pyautoattack is its authors' package.
"""

import argparse
import time

import torch
from pyautoattack import AutoAttack

from map_attacks import cifar10, classifier


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("data")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--eps", type=float, default=8 / 255)
    settings = parser.parse_args()
    torch.set_num_threads(1)
    network = classifier(settings.weights, fused=True)
    x, y = cifar10(settings.data, settings.images)
    right = network(x).argmax(1) == y
    begun = time.time()
    attack = AutoAttack(network, norm="Linf", eps=settings.eps, version="standard", seed=0)
    attacked = attack.run_standard_evaluation(x[right], y[right])
    attacked = attacked[0] if isinstance(attacked, tuple) else attacked
    robust = (network(attacked).argmax(1) == y[right]).sum().item()
    print(f"{len(x)} images, {right.sum().item()} right, {robust} robust, {time.time() - begun:.0f} s")


if __name__ == "__main__":
    main()
