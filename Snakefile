"""The pipeline: which notebook makes what from what. `make reproduce PROFILE=smoke|laptop|paper [SEEDS=n]` runs it.

A run lives in runs/<profile>/seed<k>/, an iteration of acquire, clone, metagame, train in iter<i>/ below it, and what all seeds
say together in runs/<profile>/results/. Papermill executes a copy of each notebook and leaves it beside its outputs.
"""

import ast
import configparser
import glob
import hashlib
import json
import re
from pathlib import Path

import nbformat
import papermill
from snakemake.exceptions import WorkflowError

# --- settings ----------------------------------------------------------------------------------------------------------------

profiles = configparser.ConfigParser(comment_prefixes=";")
profiles.read("settings.ini")
PROFILE = config.get("profile", "laptop")
if PROFILE not in profiles:
    raise WorkflowError(f"There is no profile '{PROFILE}' in settings.ini; choose one of {', '.join(profiles.sections())}.")
setting = profiles[PROFILE]
SEEDS = range(int(config.get("seeds", setting["n_seeds"])))
LAST = setting.getint("n_iterations") - 1
RUN = f"runs/{PROFILE}"
RESULTS = f"{RUN}/results"
LOSSES = setting["losses"].split()
TRIED = [f"{name[4:]}-{value}" for name, values in setting.items() if name.startswith("try_") for value in values.split()]
RATIONAL = RUN + "/seed{seed}/rational/theta1_sigma1"  # RM; the paper's Table ST2 sets three other populations of rational players beside it

# the questions that HCMD-zero leaves open: arms that differ in these parameters only
RM = "paper/results/parameters/rm.safetensors"
ARMS = {
    "quarter": dict(group_fraction=0.25 * setting.getfloat("group_fraction")),
    "half": dict(group_fraction=0.5 * setting.getfloat("group_fraction")),
    "double": dict(group_fraction=2 * setting.getfloat("group_fraction")),
    "quadruple": dict(group_fraction=4 * setting.getfloat("group_fraction")),
    "cold": dict(n_features=3),
    "warm": dict(n_features=3, first_mechanism=RM),
}

# --- what a notebook's code is, and which parameters it takes -------------------------------------------------------------------


def parse(source):
    """Parse code and forget its docstrings: what is said about code does not change what it does."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree.body


def defined(statement):
    """Name what a top-level statement defines; one that defines nothing counts wherever its module might."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return [(alias.asname or alias.name).split(".")[0] for alias in statement.names]
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    return [target.id for target in targets if isinstance(target, ast.Name)]


def spoken(statements):
    """Collect every name and attribute that some code uses."""
    nodes = [node for statement in statements for node in ast.walk(statement)]
    return {node.id for node in nodes if isinstance(node, ast.Name)} | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


OURS = [statement for path in sorted(Path("democratic_ai").rglob("[a-z]*.py")) for statement in parse(path.read_text())[1:]]


def path_of(notebook):
    """Find a notebook in its folder by its name."""
    (path,) = Path("nbs").glob(f"*/{notebook}.ipynb")
    return path


def fingerprint(notebook, until=None):
    """Hash a notebook's code, up to a cell that says `until`, and all of ours that it can reach by name: a step is stale when that changes, not when prose does."""
    cells = [c.source for c in nbformat.read(path_of(notebook), 4).cells if c.cell_type == "code" and not c.source.startswith("%")]
    cells = cells[: next((i + 1 for i, cell in enumerate(cells) if until and until in cell), None)]
    reached, left = parse("\n".join(cells)), OURS
    while True:
        names = spoken(reached)
        new = [statement for statement in left if not defined(statement) or names & set(defined(statement))]
        if not new:
            return hashlib.sha256("".join(sorted(map(ast.dump, reached))).encode()).hexdigest()[:16]
        reached, left = reached + new, [statement for statement in left if statement not in new]


def parameters(notebook, names, **others):
    """Pick settings by name, add the others, and refuse what the notebook does not declare."""
    chosen = {name: setting[name] for name in names.split()} | others
    declared = papermill.inspect_notebook(str(path_of(notebook)))
    if unknown := sorted(set(chosen) - set(declared)):
        raise WorkflowError(f"{path_of(notebook)} declares no parameter '{unknown[0]}'; add it to the cell tagged 'parameters'.")
    return " ".join(f"-p {name} {value}" for name, value in chosen.items())


# One core a step, so that steps run side by side; an executed notebook gets its name only when it has come to its end. Of a step that
# fails `make` says the last word; the whole story is in the part that was executed. What compiling has taken and freed goes back to the
# machine (MALLOC): up to a quarter of a GiB a step that would be held for nothing. On a graphics card a step takes the memory that it needs,
# not three quarters of all as JAX would, so that two steps can share it.
shell.prefix(
    "set -euo pipefail; export NPROC=1 XLA_FLAGS=--xla_cpu_multi_thread_eigen=false PYTHONWARNINGS=ignore"
    " MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072 XLA_PYTHON_CLIENT_PREALLOCATE=false; "
)
EXECUTE = (
    'echo ">> {rule} {wildcards}" >&2; papermill nbs/*/{params.notebook}.ipynb {output.notebook}.part.ipynb --cwd . --no-progress-bar'
    " --log-level ERROR {params.given} 2> >(python paper/last_word.py {rule} {wildcards})"
    " || {{ [ $? -lt 128 ] || echo 'Traceback: DeadKernelError' | python paper/last_word.py {rule} {wildcards}; false; }}"  # killed itself
    " && mv {output.notebook}.part.ipynb {output.notebook}"
)


onerror:
    # a job that a cluster has ended had no last word of its own
    said = Path(".snakemake/last_words")
    if not said.exists():
        ended = "A job was ended from outside (its time, its memory, its machine): .snakemake/slurm_logs may say why."
        said.write_text(f"{ended} Ask for more with EACH if it was too little; the same command goes on from where it was.\n")


wildcard_constraints:
    run=r"(loss[\d.]+/)?seed\d+",
    i=r"\d+",
    seed=r"\d+",
    arm="|".join(ARMS),


def seed(wildcards):
    return re.search(r"seed(\d+)", wildcards.run).group(1)


def loss(wildcards):
    found = re.match(r"loss([\d.]+)/", wildcards.run)
    return found.group(1) if found else setting["loss"]


def iteration(wildcards):
    return f"{RUN}/{wildcards.run}/iter{wildcards.i}"


def so_far(name):
    """List a file of this iteration and of all before it."""
    return lambda wildcards: [f"{RUN}/{wildcards.run}/iter{k}/{name}" for k in range(int(wildcards.i) + 1)]


def before(name):
    """List a file of the iteration before, if there is one."""
    return lambda wildcards: [f"{RUN}/{wildcards.run}/iter{int(wildcards.i) - 1}/{name}"] if int(wildcards.i) else []


# --- the run --------------------------------------------------------------------------------------------------------------------


localrules:
    all,
    figures,
    hcmd_zero,
    numbers,


rule all:
    input:
        f"{RESULTS}/provenance.json",
        f"{RESULTS}/hcmd_provenance.json",
        f"{RESULTS}/numbers.json",


rule acquire:
    input:
        "data/participants/calibration.json",
        before("mechanism.safetensors"),
    output:
        plays=f"{RUN}/{{run}}/iter{{i}}/plays.parquet",
        holdout=f"{RUN}/{{run}}/iter{{i}}/holdout.parquet",
        notebook=f"{RUN}/{{run}}/iter{{i}}/20_acquire.ipynb",
    benchmark:
        f"{RUN}/{{run}}/iter{{i}}/20_acquire.tsv"
    params:
        notebook="20_acquire",
        code=fingerprint("20_acquire"),
        given=lambda w: parameters(
            "20_acquire", "pilot_blocks holdout_blocks repeat_groups", folder=iteration(w), seed=seed(w), iteration=w.i, loss=loss(w)
        ),
    priority: 1  # the chain of iterations, on which all else waits
    shell:
        EXECUTE


rule clone:
    input:
        so_far("plays.parquet"),
        f"{RUN}/{{run}}/iter{{i}}/holdout.parquet",
    output:
        players=f"{RUN}/{{run}}/iter{{i}}/players.safetensors",
        evaluation=f"{RUN}/{{run}}/iter{{i}}/cloning.csv",
        notebook=f"{RUN}/{{run}}/iter{{i}}/21_clone.ipynb",
    benchmark:
        f"{RUN}/{{run}}/iter{{i}}/21_clone.tsv"
    params:
        notebook="21_clone",
        code=fingerprint("21_clone"),
        given=lambda w: parameters("21_clone", "clone_games clone_updates", folder=iteration(w), seed=seed(w), iteration=w.i),
    priority: 1
    shell:
        EXECUTE


rule metagame:
    input:
        f"{RUN}/{{run}}/iter{{i}}/players.safetensors",
    output:
        matrix=f"{RUN}/{{run}}/iter{{i}}/metagame.csv",
        winner=f"{RUN}/{{run}}/iter{{i}}/metagame.json",
        manifold=f"{RUN}/{{run}}/iter{{i}}/manifold.csv",
        payouts=f"{RUN}/{{run}}/iter{{i}}/manifold_payouts.csv",
        notebook=f"{RUN}/{{run}}/iter{{i}}/22_metagame.ipynb",
    benchmark:
        f"{RUN}/{{run}}/iter{{i}}/22_metagame.tsv"
    params:
        notebook="22_metagame",
        code=fingerprint("22_metagame"),
        given=lambda w: parameters("22_metagame", "metagame_blocks", folder=iteration(w), seed=seed(w), iteration=w.i),
    priority: 1
    shell:
        EXECUTE


rule train:
    input:
        f"{RUN}/{{run}}/iter{{i}}/players.safetensors",
        f"{RUN}/{{run}}/iter{{i}}/metagame.json",
    output:
        mechanism=f"{RUN}/{{run}}/iter{{i}}/mechanism.safetensors",
        history=f"{RUN}/{{run}}/iter{{i}}/training.csv",
        notebook=f"{RUN}/{{run}}/iter{{i}}/23_train.ipynb",
    benchmark:
        f"{RUN}/{{run}}/iter{{i}}/23_train.tsv"
    params:
        notebook="23_train",
        code=fingerprint("23_train"),
        given=lambda w: parameters("23_train", "train_games train_updates", folder=iteration(w), seed=seed(w), iteration=w.i),
    priority: 1
    shell:
        EXECUTE


rule elect:
    input:
        f"{RUN}/{{run}}/iter{{i}}/players.safetensors",
        f"{RUN}/{{run}}/iter{{i}}/mechanism.safetensors",
    output:
        votes=f"{RUN}/{{run}}/iter{{i}}/votes.csv",
        beach=f"{RUN}/{{run}}/iter{{i}}/beach.csv",
        coins=f"{RUN}/{{run}}/iter{{i}}/virtual_coins.csv",
        notebook=f"{RUN}/{{run}}/iter{{i}}/24_elect.ipynb",
    benchmark:
        f"{RUN}/{{run}}/iter{{i}}/24_elect.tsv"
    params:
        notebook="24_elect",
        code=fingerprint("24_elect"),
        given=lambda w: parameters("24_elect", "election_blocks", folder=iteration(w), seed=seed(w), iteration=w.i),
    shell:
        EXECUTE


def trained_on(updates):
    """Pick the parameters of a training with one population of rational players, as many updates long as a setting says."""
    return lambda w, output: parameters(
        "27_rational",
        "train_games election_blocks",
        train_updates=setting[updates],
        folder=Path(output.notebook).parent,
        seed=w.seed,
        **dict(re.findall(r"(theta|sigma)(\d)", w.population)),
    )


rule rational:
    output:
        multiext(f"{RUN}/seed{{seed}}/rational/{{population}}/", "mechanism.safetensors", "training.csv", "votes.csv", "beach.csv"),
        notebook=f"{RUN}/seed{{seed}}/rational/{{population}}/27_rational.ipynb",
    wildcard_constraints:
        population="theta1_sigma1",
    benchmark:
        f"{RUN}/seed{{seed}}/rational/{{population}}/27_rational.tsv"
    params:
        notebook="27_rational",
        code=fingerprint("27_rational"),
        given=trained_on("rational_updates"),
    priority: -1  # the chain of iterations is longer
    shell:
        EXECUTE


use rule rational as compare with:
    wildcard_constraints:
        population="theta1_sigma3|theta3_sigma1|theta3_sigma3",
    params:
        notebook="27_rational",
        code=fingerprint("27_rational"),
        given=trained_on("comparison_updates"),
    priority: -2  # nothing but a table waits for these


rule experiments:
    input:
        "data/participants/calibration.json",
        sorted(glob.glob("data/released/*_exp*.csv")),
        f"{RUN}/{{run}}/iter{LAST}/players.safetensors",
        f"{RUN}/{{run}}/iter{LAST}/mechanism.safetensors",
        rational=lambda w: f"{RATIONAL.format(seed=seed(w))}/mechanism.safetensors",
    output:
        trials=f"{RUN}/{{run}}/trials.parquet",
        votes=f"{RUN}/{{run}}/votes.parquet",
        curves=f"{RUN}/{{run}}/fig1c.csv",
        notebook=f"{RUN}/{{run}}/25_experiments.ipynb",
    benchmark:
        f"{RUN}/{{run}}/25_experiments.tsv"
    params:
        notebook="25_experiments",
        code=fingerprint("25_experiments"),
        given=lambda w, input: parameters(
            "25_experiments",
            "curve_games group_fraction",
            folder=f"{RUN}/{w.run}",
            seed=seed(w),
            loss=loss(w),
            last_iteration=LAST,
            rational=input.rational,
        ),
    shell:
        EXECUTE


# --- the second system: independent of all the above, a chain of its own --------------------------------------------------------


HCMD_SEEDS = range(int(config.get("seeds", setting["hcmd_seeds"])))
HCMD_CODE = fingerprint("26_hcmd_zero")
HCMD_RECORD = fingerprint("26_hcmd_zero", until="hcmd_zero.run(")  # what comes after looks at the record, and may look again
HCMD = ["metagame", "cross_entropy", "cross_entropy_unmet", "knowable", "models", "sizes", "taste", "course", "worst_returns", "beach", "idle_head"]


rule hcmd_zero:
    input:
        f"{RESULTS}/hcmd_provenance.json",


rule self_play:
    input:
        "data/participants/calibration.json",
    output:
        expand(f"{RUN}/seed{{{{seed}}}}/hcmd_zero/{{name}}.csv", name=HCMD),
        multiext(f"{RUN}/seed{{seed}}/hcmd_zero/", "trials.parquet", "votes.parquet", "stop.json", "made_by.json", "mechanism.safetensors"),
        notebook=f"{RUN}/seed{{seed}}/hcmd_zero/26_hcmd_zero.ipynb",
    benchmark:
        f"{RUN}/seed{{seed}}/hcmd_zero/26_hcmd_zero.tsv"
    params:
        notebook="26_hcmd_zero",
        code=HCMD_CODE,
        given=lambda w, output: parameters(
            "26_hcmd_zero",
            "loss group_fraction hcmd_games hcmd_shortening hcmd_clone_updates hcmd_splits",
            folder=Path(output.notebook).parent,
            seed=w.seed,
            code=f"code-{HCMD_RECORD}",
        ),
    priority: -3  # a system of its own
    shell:
        EXECUTE


rule hcmd_figures:
    input:
        expand(f"{RUN}/seed{{k}}/hcmd_zero/{{name}}.csv", k=HCMD_SEEDS, name=HCMD),
        expand(f"{RUN}/seed{{k}}/hcmd_zero/{{name}}", k=HCMD_SEEDS, name=["trials.parquet", "votes.parquet", "stop.json", "made_by.json"]),
        "data/published/hcmd_zero.csv",
    output:
        multiext(f"{RESULTS}/figures/hcmd_fig", "3a.svg", "3b.svg", "3c.svg", "4_models.svg", "4_metagame.svg", "5.svg"),
        f"{RESULTS}/figures/hcmd_knowable.svg",
        multiext(f"{RESULTS}/data/hcmd_", "fig3a.csv", "fig3c.csv", "beach.csv"),
        multiext(f"{RESULTS}/tables/hcmd_", "vs_liberal_egalitarian.csv", "cross_entropy.csv", "metagame.csv", "steps.csv"),
        multiext(f"{RESULTS}/tables/hcmd_", "course.csv", "taste.csv", "table1.csv", "numbers.csv", "knowable.csv"),
        multiext(f"{RESULTS}/tables/hcmd_", "contributions.csv", "wealth.csv", "stop.csv", "safety.csv", "findings.csv", "idle_head.csv", "cross_entropy_unmet.csv"),
        numbers=f"{RESULTS}/numbers/hcmd_zero.json",
        provenance=f"{RESULTS}/hcmd_provenance.json",
        notebook=f"{RESULTS}/notebooks/36_hcmd_zero.ipynb",
    benchmark:
        f"{RESULTS}/notebooks/36_hcmd_zero.tsv"
    params:
        notebook="36_hcmd_zero",
        code=fingerprint("36_hcmd_zero"),
        given=lambda w: parameters("36_hcmd_zero", "", folder=RUN, profile=PROFILE, n_seeds=len(HCMD_SEEDS)),
    shell:
        EXECUTE


# what the original leaves open: other numbers of groups, and another first mechanism

QUESTIONS = f"{RUN}/hcmd_questions"
QUESTION_SEEDS = range(setting.getint("question_seeds"))


rule arm:
    input:
        "data/participants/calibration.json",
        lambda w: ARMS[w.arm].get("first_mechanism", []),
    output:
        multiext(f"{QUESTIONS}/{{arm}}/seed{{seed}}/", "course.csv", "worst_returns.csv", "models.csv", "metagame.csv", "knowable.csv", "made_by.json"),
        notebook=f"{QUESTIONS}/{{arm}}/seed{{seed}}/26_hcmd_zero.ipynb",
    params:
        notebook="26_hcmd_zero",
        code=HCMD_CODE,
        given=lambda w, output: parameters(
            "26_hcmd_zero",
            "loss hcmd_games hcmd_shortening hcmd_clone_updates",
            **{"group_fraction": setting["group_fraction"], **ARMS[w.arm]},
            hcmd_splits=0,
            folder=Path(output.notebook).parent,
            seed=w.seed,
            code=f"code-{HCMD_RECORD}",
        ),
    shell:
        EXECUTE


rule questions:
    input:
        expand(f"{RUN}/seed{{k}}/hcmd_zero/{{name}}.csv", k=QUESTION_SEEDS, name=["course", "models", "metagame", "knowable"]),
        expand(f"{QUESTIONS}/{{arm}}/seed{{k}}/course.csv", arm=ARMS, k=QUESTION_SEEDS),
    output:
        multiext(f"{QUESTIONS}/", "groups.csv", "gains.csv", "climbs.csv", "doubling.csv", "starts.csv", "safety.csv", "warm_start.csv", "by_iteration.csv", "hcmd_questions.svg"),
        provenance=f"{QUESTIONS}/provenance.json",
        notebook=f"{QUESTIONS}/43_hcmd_questions.ipynb",
    params:
        notebook="43_hcmd_questions",
        code=fingerprint("43_hcmd_questions"),
        given=lambda w: parameters("43_hcmd_questions", "", folder=RUN, profile=PROFILE, n_seeds=len(QUESTION_SEEDS)),
    shell:
        EXECUTE


# --- pictures and tables, over all seeds ---------------------------------------------------------------------------------------

CURVES, TRIALS, VOTES = (expand(f"{RUN}/seed{{k}}/{name}", k=SEEDS) for name in ("fig1c.csv", "trials.parquet", "votes.parquet"))
LAST_OF_EACH = expand(f"{RUN}/seed{{k}}/iter{LAST}", k=SEEDS)
COMPARED = range(min(setting.getint("comparison_seeds"), len(SEEDS)))
COMPARISONS = expand(f"{RUN}/seed{{k}}/rational/theta{{theta}}_sigma{{sigma}}/votes.csv", k=COMPARED, theta=[1, 3], sigma=[1, 3])
FIGURES = [*(f"fig{n}" for n in "1a 1b 1c 1d 2 3a 3b 3c 4a 4b 4c 4d".split()), *(f"figS{n}" for n in range(1, 10))]


rule figures:
    input:
        expand(f"{RESULTS}/figures/{{name}}.svg", name=FIGURES),
        f"{RESULTS}/figures/hcmd_fig5.svg",


rule figure1:
    input:
        CURVES,
        multiext(f"{RUN}/seed0/iter{LAST}/manifold", ".csv", "_payouts.csv"),
        "data/published/fig1c_relative_contribution.csv",
    output:
        multiext(f"{RESULTS}/figures/fig", "1a.svg", "1b.svg", "1c.svg", "1d.svg"),
        multiext(f"{RESULTS}/data/fig", "1b.csv", "1b_payouts.csv", "1c.csv"),
        notebook=f"{RESULTS}/notebooks/31_figure1.ipynb",
    benchmark:
        f"{RESULTS}/notebooks/31_figure1.tsv"
    params:
        notebook="31_figure1",
        code=fingerprint("31_figure1"),
        given=lambda w: parameters("31_figure1", "", folder=RUN, n_seeds=len(SEEDS), last_iteration=LAST),
    shell:
        EXECUTE


rule figure2:
    input:
        VOTES,
        "data/published/fig2_votes.csv",
    output:
        multiext(f"{RESULTS}/figures/fig", "2.svg"),
        multiext(f"{RESULTS}/data/fig", "2.csv"),
        notebook=f"{RESULTS}/notebooks/32_figure2.ipynb",
    benchmark:
        f"{RESULTS}/notebooks/32_figure2.tsv"
    params:
        notebook="32_figure2",
        code=fingerprint("32_figure2"),
        given=lambda w: parameters("32_figure2", "", folder=RUN, n_seeds=len(SEEDS)),
    shell:
        EXECUTE


rule figure3:
    input:
        TRIALS,
        expand("{folder}/beach.csv", folder=LAST_OF_EACH),
        expand(f"{RATIONAL}/beach.csv", seed=SEEDS),
    output:
        multiext(f"{RESULTS}/figures/fig", "3a.svg", "3b.svg", "3c.svg"),
        multiext(f"{RESULTS}/data/fig", "3a_beach.csv", "3b.csv", "3c.csv", "3c_fits.csv"),
        notebook=f"{RESULTS}/notebooks/33_figure3.ipynb",
    benchmark:
        f"{RESULTS}/notebooks/33_figure3.tsv"
    params:
        notebook="33_figure3",
        code=fingerprint("33_figure3"),
        given=lambda w: parameters("33_figure3", "", folder=RUN, n_seeds=len(SEEDS), last_iteration=LAST),
    shell:
        EXECUTE


rule figure4:
    input:
        TRIALS,
        VOTES,
    output:
        multiext(f"{RESULTS}/figures/fig", "4a.svg", "4b.svg", "4c.svg", "4d.svg"),
        multiext(f"{RESULTS}/data/fig", "4a.csv", "4b.csv", "4c.csv", "4c_fits.csv", "4d.csv"),
        notebook=f"{RESULTS}/notebooks/34_figure4.ipynb",
    benchmark:
        f"{RESULTS}/notebooks/34_figure4.tsv"
    params:
        notebook="34_figure4",
        code=fingerprint("34_figure4"),
        given=lambda w: parameters("34_figure4", "", folder=RUN, n_seeds=len(SEEDS)),
    shell:
        EXECUTE


rule supplementary:
    input:
        TRIALS,
        VOTES,
        expand("{folder}/{name}.csv", folder=LAST_OF_EACH, name=["virtual_coins", "manifold"]),
        f"{RESULTS}/data/fig3a_beach.csv",
        "data/published/figure_s2_t.csv",
    output:
        multiext(f"{RESULTS}/figures/fig", "S1.svg", "S2.svg", "S3.svg", "S4.svg", "S5.svg", "S6.svg", "S7.svg", "S8.svg", "S9.svg"),
        multiext(f"{RESULTS}/data/fig", "S1.csv", "S2.csv", "S3.csv", "S4.csv", "S5.csv", "S6.csv", "S7.csv", "S8.csv", "S9.csv"),
        multiext(f"{RESULTS}/tables/fig", "S2.csv", "S6.csv"),
        notebook=f"{RESULTS}/notebooks/35_supplementary.ipynb",
    benchmark:
        f"{RESULTS}/notebooks/35_supplementary.tsv"
    params:
        notebook="35_supplementary",
        code=fingerprint("35_supplementary"),
        given=lambda w: parameters("35_supplementary", "", folder=RUN, n_seeds=len(SEEDS), last_iteration=LAST),
    shell:
        EXECUTE


rule statistics:
    input:
        TRIALS,
        VOTES,
        expand("{folder}/beach.csv", folder=LAST_OF_EACH),
        "data/published/text_statistics.csv",
    output:
        findings=f"{RESULTS}/tables/findings.csv",
        table=f"{RESULTS}/tables/text_statistics.csv",
        notebook=f"{RESULTS}/notebooks/38_statistics.ipynb",
    benchmark:
        f"{RESULTS}/notebooks/38_statistics.tsv"
    params:
        notebook="38_statistics",
        code=fingerprint("38_statistics"),
        given=lambda w: parameters("38_statistics", "", folder=RUN, n_seeds=len(SEEDS), last_iteration=LAST),
    shell:
        EXECUTE


rule tables:
    input:
        f"{RESULTS}/data/fig1c.csv",
        f"{RESULTS}/data/fig3a_beach.csv",
        expand(f"{RESULTS}/figures/{{name}}.svg", name=FIGURES),  # not read: the tables come last and say what made all of it
        f"{RESULTS}/tables/figS2.csv",
        f"{RESULTS}/tables/text_statistics.csv",
        f"{RESULTS}/tables/findings.csv",
        sorted(glob.glob("data/published/*.csv")),
        VOTES,
        COMPARISONS,
        f"{RATIONAL.format(seed=0)}/mechanism.safetensors",
        expand(f"{RATIONAL}/training.csv", seed=SEEDS),
        expand(f"{RUN}/seed{{k}}/iter{{i}}/{{name}}", k=SEEDS, i=range(LAST + 1), name=["votes.csv", "metagame.csv", "cloning.csv"]),
        multiext(f"{RUN}/seed0/iter0/", "plays.parquet", "players.safetensors"),
    output:
        s1a=f"{RESULTS}/tables/s1a_votes.csv",
        s1b=f"{RESULTS}/tables/s1b_virtual_votes.csv",
        s2=f"{RESULTS}/tables/s2_metagame.csv",
        iterations=f"{RESULTS}/tables/iterations.csv",
        st2=f"{RESULTS}/tables/st2.csv",
        st2_training=f"{RESULTS}/tables/st2_training.csv",
        beside=f"{RESULTS}/tables/published_beside_ours.csv",
        cloning=f"{RESULTS}/tables/cloning.csv",
        players=f"{RESULTS}/parameters/players.safetensors",
        hcrm=f"{RESULTS}/parameters/hcrm.safetensors",
        rm=f"{RESULTS}/parameters/rm.safetensors",
        summary=f"{RESULTS}/summary.md",
        numbers=f"{RESULTS}/numbers/democratic_ai.json",
        provenance=f"{RESULTS}/provenance.json",
        notebook=f"{RESULTS}/notebooks/39_tables.ipynb",
    benchmark:
        f"{RESULTS}/notebooks/39_tables.tsv"
    params:
        notebook="39_tables",
        code=fingerprint("39_tables"),
        given=lambda w: parameters("39_tables", "", folder=RUN, profile=PROFILE, n_seeds=len(SEEDS), last_iteration=LAST),
    shell:
        EXECUTE


rule numbers:
    input:
        f"{RESULTS}/numbers/democratic_ai.json",
        f"{RESULTS}/numbers/hcmd_zero.json",
    output:
        f"{RESULTS}/numbers.json",
    run:
        together = {name: number for part in input for name, number in json.loads(Path(part).read_text()).items()}
        Path(output[0]).write_text(json.dumps(together, indent=1) + "\n")


# --- what hangs on assumptions: other values of `loss`, which Figure 1C cannot tell, one seed each; and other readings of the paper ------

SENSITIVITY = f"{RUN}/sensitivity"
OTHER = [f"{RUN}/seed0" if value == setting["loss"] else f"{RUN}/loss{value}/seed0" for value in LOSSES]


rule sensitivity:
    input:
        f"{SENSITIVITY}/slopes.csv",
        expand("{run}/fig1c.csv", run=OTHER),
        expand(f"{{run}}/iter{LAST}/{{name}}", run=OTHER, name=["votes.csv", "metagame.csv", "beach.csv"]),
    output:
        table=f"{SENSITIVITY}/loss_sensitivity.csv",
        figure=f"{SENSITIVITY}/loss_sensitivity.svg",
        summary=f"{SENSITIVITY}/summary.md",
        provenance=f"{SENSITIVITY}/provenance.json",
        notebook=f"{SENSITIVITY}/42_sensitivity.ipynb",
    params:
        notebook="42_sensitivity",
        code=fingerprint("42_sensitivity"),
        given=lambda w: parameters(
            "42_sensitivity", "", folder=RUN, profile=PROFILE, losses=f"'{setting['losses']}'", default=setting["loss"], last_iteration=LAST
        ),
    shell:
        EXECUTE


rule readings:
    input:
        f"{RUN}/seed0/iter0/plays.parquet",
        f"{RUN}/seed0/iter{LAST}/players.safetensors",
        f"{RUN}/seed0/iter{LAST}/metagame.json",
    output:
        readings=f"{SENSITIVITY}/readings.csv",
        slopes=f"{SENSITIVITY}/slopes.csv",
        notebook=f"{SENSITIVITY}/41_readings.ipynb",
    params:
        notebook="41_readings",
        code=fingerprint("41_readings"),
        given=lambda w: parameters("41_readings", "train_games train_updates election_blocks", folder=f"{RUN}/seed0/iter{LAST}", results=SENSITIVITY),
    shell:
        EXECUTE


# --- a sweep over hyper-parameters of the virtual players, one at a time around the paper's -----------------------------------------------

SWEEP = f"{RUN}/sweep"
SWEEP_SEEDS = range(setting.getint("sweep_seeds"))
if len(SWEEP_SEEDS) < 2:
    raise WorkflowError("sweep_seeds in settings.ini is less than 2: how much seeds of one setting differ takes at least two to tell.")


rule try_players:
    input:
        multiext(f"{RUN}/seed0/iter0/", "plays.parquet", "holdout.parquet"),
    output:
        evaluation=f"{SWEEP}/{{tried}}/seed{{seed}}/cloning.csv",
        notebook=f"{SWEEP}/{{tried}}/seed{{seed}}/21_clone.ipynb",
    params:
        notebook="21_clone",
        code=fingerprint("21_clone"),
        given=lambda w, output: parameters(
            "21_clone",
            "clone_games clone_updates",
            changed="''" if w.tried == "as_published" else w.tried,
            folder=f"{RUN}/seed0/iter0",
            results=Path(output.notebook).parent,
            seed=w.seed,
        ),
    shell:
        EXECUTE


rule sweep:
    input:
        expand(f"{SWEEP}/{{tried}}/seed{{k}}/cloning.csv", tried=["as_published", *TRIED], k=SWEEP_SEEDS),
    output:
        multiext(f"{SWEEP}/", "sweep.csv", "neighbours.csv", "sweep.svg", "provenance.json"),
        notebook=f"{SWEEP}/40_sweep.ipynb",
    params:
        notebook="40_sweep",
        code=fingerprint("40_sweep"),
        given=lambda w: parameters("40_sweep", "sweep_seeds", folder=RUN, profile=PROFILE, tried=f"'{' '.join(TRIED)}'"),
    shell:
        EXECUTE
