"""Averages the weights of checkpoints of one training (model soups, arXiv 2203.05482): `python average.py --out mean.pt A/last.pt:0.7 B/last.pt:0.3`."""

import argparse

import torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("checkpoints", nargs="+", help="CHECKPOINT:SHARE; the shares make 1")
    args = parser.parse_args()
    pairs = [spec.rsplit(":", 1) for spec in args.checkpoints]
    shares = [float(share) for _, share in pairs]
    if abs(sum(shares) - 1) > 1e-6:
        parser.error("the shares must make 1")
    states = [torch.load(path)["average"] for path, _ in pairs]
    mean = {
        # Counters of steps are whole numbers, and nobody reads them.
        key: sum(state[key] * share for state, share in zip(states, shares)) if value.dtype.is_floating_point else value
        for key, value in states[0].items()
    }
    torch.save({"average": mean}, args.out)


if __name__ == "__main__":
    main()
