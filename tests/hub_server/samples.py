"""A card and a ticket to push."""

CARD = """---
library_name: ticketzoo
license: apache-2.0
pipeline_tag: image-classification
base_model: alice/dense
datasets: [ylecun/mnist]
tags: [lottery-ticket, lenet]
---
# A ticket, see https://arxiv.org/abs/1803.03635
"""
MASKS = bytes(range(256)) * 1200  # 300 kB, and binary
