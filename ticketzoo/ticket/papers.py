"""The papers that a ticket's words for its search name, as BibTeX."""

import re
from dataclasses import dataclass

from ticketzoo.ticket.config import TicketConfig


@dataclass(frozen=True)
class Paper:
    """A paper: its authors, title, where it was published, year, and its number on arXiv; none where it is older."""

    authors: str
    title: str
    venue: str
    year: int
    arxiv: str = ""

    def bibtex(self, key: str) -> str:
        """Return it as an entry called `key`."""
        fields = {"title": f"{{{self.title}}}", "author": self.authors, "booktitle": self.venue, "year": str(self.year)}
        fields |= {"eprint": self.arxiv, "archiveprefix": "arXiv"} if self.arxiv else {}
        if not self.venue:
            del fields["booktitle"]
        lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
        return f"@{'inproceedings' if self.venue else 'misc'}{{{key},\n{lines}}}"


_FRANKLE = "Jonathan Frankle and Gintare Karolina Dziugaite and Daniel M. Roy and Michael Carbin"

PAPERS = {
    "Chen et al. 2020": Paper(
        "Tianlong Chen and Jonathan Frankle and Shiyu Chang and Sijia Liu and Yang Zhang and Zhangyang Wang and "
        "Michael Carbin",
        "The Lottery Ticket Hypothesis for Pre-trained BERT Networks",
        "NeurIPS",
        2020,
        "2007.12223",
    ),
    "Chen et al. 2021": Paper(
        "Xiaohan Chen and Yu Cheng and Shuohang Wang and Zhe Gan and Jingjing Liu and Zhangyang Wang",
        "The Elastic Lottery Ticket Hypothesis",
        "NeurIPS",
        2021,
        "2103.16547",
    ),
    "Diffenderfer & Kailkhura 2021": Paper(
        "James Diffenderfer and Bhavya Kailkhura",
        "Multi-Prize Lottery Ticket Hypothesis: Finding Accurate Binary Neural Networks by Pruning A Randomly Weighted "
        "Network",
        "ICLR",
        2021,
        "2103.09377",
    ),
    "Evci et al. 2020": Paper(
        "Utku Evci and Trevor Gale and Jacob Menick and Pablo Samuel Castro and Erich Elsen",
        "Rigging the Lottery: Making All Tickets Winners",
        "ICML",
        2020,
        "1911.11134",
    ),
    "Frankle & Carbin 2019": Paper(
        "Jonathan Frankle and Michael Carbin",
        "The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks",
        "ICLR",
        2019,
        "1803.03635",
    ),
    "Frankle et al. 2020": Paper(
        _FRANKLE, "Linear Mode Connectivity and the Lottery Ticket Hypothesis", "ICML", 2020, "1912.05671"
    ),
    "Frankle et al. 2021": Paper(
        _FRANKLE, "Pruning Neural Networks at Initialization: Why Are We Missing the Mark?", "ICLR", 2021, "2009.08576"
    ),
    "Frantar & Alistarh 2023": Paper(
        "Elias Frantar and Dan Alistarh",
        "SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot",
        "ICML",
        2023,
        "2301.00774",
    ),
    "Gale et al. 2019": Paper(
        "Trevor Gale and Erich Elsen and Sara Hooker",
        "The State of Sparsity in Deep Neural Networks",
        "",
        2019,
        "1902.09574",
    ),
    "LeCun et al. 1990": Paper(
        "Yann LeCun and John S. Denker and Sara A. Solla",
        "Optimal Brain Damage",
        "Advances in Neural Information Processing Systems 2",
        1990,
    ),
    "Lee et al. 2019": Paper(
        "Namhoon Lee and Thalaiyasingam Ajanthan and Philip H. S. Torr",
        "SNIP: Single-shot Network Pruning based on Connection Sensitivity",
        "ICLR",
        2019,
        "1810.02340",
    ),
    "Li et al. 2017": Paper(
        "Hao Li and Asim Kadav and Igor Durdanovic and Hanan Samet and Hans Peter Graf",
        "Pruning Filters for Efficient ConvNets",
        "ICLR",
        2017,
        "1608.08710",
    ),
    "Liu et al. 2022": Paper(
        "Yuanxin Liu and Fandong Meng and Zheng Lin and Peng Fu and Yanan Cao and Weiping Wang and Jie Zhou",
        "Learning to Win Lottery Tickets in BERT Transfer via Task-agnostic Mask Training",
        "NAACL",
        2022,
        "2204.11218",
    ),
    "Mishra et al. 2021": Paper(
        "Asit Mishra and Jorge Albericio Latorre and Jeff Pool and Darko Stosic and Dusan Stosic and Ganesh Venkatesh "
        "and Chong Yu and Paulius Micikevicius",
        "Accelerating Sparse Deep Neural Networks",
        "",
        2021,
        "2104.08378",
    ),
    "Mocanu et al. 2018": Paper(
        "Decebal Constantin Mocanu and Elena Mocanu and Peter Stone and Phuong H. Nguyen and Madeleine Gibescu and "
        "Antonio Liotta",
        "Scalable Training of Artificial Neural Networks with Adaptive Sparse Connectivity Inspired by Network Science",
        "Nature Communications",
        2018,
        "1707.04780",
    ),
    "Panda et al. 2024": Paper(
        "Ashwinee Panda and Berivan Isik and Xiangyu Qi and Sanmi Koyejo and Tsachy Weissman and Prateek Mittal",
        "Lottery Ticket Adaptation: Mitigating Destructive Interference in LLMs",
        "",
        2024,
        "2406.16797",
    ),
    "Patil & Dovrolis 2021": Paper(
        "Shreyas Malakarjun Patil and Constantine Dovrolis",
        "PHEW: Constructing Sparse Networks that Learn Fast and Generalize Well without Training Data",
        "ICML",
        2021,
        "2010.11354",
    ),
    "Ramanujan et al. 2020": Paper(
        "Vivek Ramanujan and Mitchell Wortsman and Aniruddha Kembhavi and Ali Farhadi and Mohammad Rastegari",
        "What's Hidden in a Randomly Weighted Neural Network?",
        "CVPR",
        2020,
        "1911.13299",
    ),
    "Renda et al. 2020": Paper(
        "Alex Renda and Jonathan Frankle and Michael Carbin",
        "Comparing Rewinding and Fine-tuning in Neural Network Pruning",
        "ICLR",
        2020,
        "2003.02389",
    ),
    "Su et al. 2020": Paper(
        "Jingtong Su and Yihang Chen and Tianle Cai and Tianhao Wu and Ruiqi Gao and Liwei Wang and Jason D. Lee",
        "Sanity-Checking Pruning Methods: Random Tickets can Win the Jackpot",
        "NeurIPS",
        2020,
        "2009.11094",
    ),
    "Sun et al. 2024": Paper(
        "Mingjie Sun and Zhuang Liu and Anna Bair and J. Zico Kolter",
        "A Simple and Effective Pruning Approach for Large Language Models",
        "ICLR",
        2024,
        "2306.11695",
    ),
    "Tanaka et al. 2020": Paper(
        "Hidenori Tanaka and Daniel Kunin and Daniel L. K. Yamins and Surya Ganguli",
        "Pruning Neural Networks without Any Data by Iteratively Conserving Synaptic Flow",
        "NeurIPS",
        2020,
        "2006.05467",
    ),
    "Wang et al. 2020": Paper(
        "Chaoqi Wang and Guodong Zhang and Roger Grosse",
        "Picking Winning Tickets Before Training by Preserving Gradient Flow",
        "ICLR",
        2020,
        "2002.07376",
    ),
    "Yin et al. 2024": Paper(
        "Lu Yin and You Wu and Zhenyu Zhang and Cheng-Yu Hsieh and Yaqing Wang and Yiling Jia and Gen Li and Ajay "
        "Jaiswal and Mykola Pechenizkiy and Yi Liang and Michael Bendersky and Zhangyang Wang and Shiwei Liu",
        "Outlier Weighed Layerwise Sparsity (OWL): A Missing Secret Sauce for Pruning LLMs to High Sparsity",
        "ICML",
        2024,
        "2310.05175",
    ),
    "You et al. 2020": Paper(
        "Haoran You and Chaojian Li and Pengfei Xu and Yonggan Fu and Yue Wang and Xiaohan Chen and Richard G. "
        "Baraniuk and Zhangyang Wang and Yingyan Lin",
        "Drawing Early-Bird Tickets: Towards More Efficient Training of Deep Networks",
        "ICLR",
        2020,
        "1909.11957",
    ),
    "Zhou et al. 2019": Paper(
        "Hattie Zhou and Janice Lan and Rosanne Liu and Jason Yosinski",
        "Deconstructing Lottery Tickets: Zeros, Signs, and the Supermask",
        "NeurIPS",
        2019,
        "1905.01067",
    ),
    "Zhu & Gupta 2017": Paper(
        "Michael Zhu and Suyog Gupta",
        "To prune, or not to prune: exploring the efficacy of pruning for model compression",
        "",
        2017,
        "1710.01878",
    ),
}
"""By the words that name them."""


def bibtex_of(config: TicketConfig) -> str:
    """Return entries of a ticket, and of the papers that its words for its search name, each once.

    The ticket's states the digest of its masks, which says what was used whatever happens to its name.
    """
    note = f"ticketzoo {config.library_version}, masks {config.mask_sha256[:16]}"
    title = f"{{{config.name}: a lottery ticket}}"
    ticket = f"@misc{{{config.name},\n  title = {{{title}}},\n  note = {{{note}}},\n}}"
    named = re.compile(f"({'|'.join(map(re.escape, PAPERS))})(?![a-z])")
    found = dict.fromkeys(name for text in config.pruning.words.values() for name in named.findall(text))
    return "\n\n".join([ticket, *(PAPERS[name].bibtex(_key(name)) for name in found)])


def _key(name: str) -> str:
    """Return `frankle2019` for "Frankle & Carbin 2019"."""
    return f"{name.split()[0].lower()}{name.split()[-1]}"
