"""The pipeline: which notebook makes what from what. `make reproduce PROFILE=smoke|laptop|paper [SEEDS=n]` runs it.

`engine.runs` says where a step writes and under which names, `engine.stale` what makes it stale: the code that it reaches,
the published data that it reads, its settings. Papermill executes a copy of each notebook and leaves it beside its outputs.
"""

import glob
import json
import sys
import time
from functools import partial
from pathlib import Path

from snakemake.exceptions import WorkflowError

from democratic_ai.engine import runs, stale, steps

# --- settings ----------------------------------------------------------------------------------------------------

PROFILE = config.get("profile", "laptop")
setting = stale.read_settings("settings.ini", PROFILE)
SEEDS = range(int(config.get("seeds", setting["n_seeds"])))
HCMD_SEEDS = range(int(config.get("seeds", setting["hcmd_seeds"])))
QUESTION_SEEDS = range(int(setting["question_seeds"]))
CLIMBING = setting["climb_arms"].split()
SWEEP_SEEDS = range(int(setting["sweep_seeds"]))
if len(SWEEP_SEEDS) < 2:
    raise WorkflowError("sweep_seeds in settings.ini is less than 2: how much seeds of one setting differ takes at least two to tell.")
COMPARED = SEEDS[: int(setting["comparison_seeds"])]  # seeds in which RM is trained on all four populations of Table ST2
LAST = int(setting["n_iterations"]) - 1
POPULATIONS = [int(number) for number in setting["populations"].split()]
TRIED = [f"{name[4:]}-{value}" for name, values in setting.items() if name.startswith("try_") for value in values.split()]

# the questions that HCMD-zero leaves open: arms that differ in these parameters only
FRACTION = float(setting["group_fraction"])
ARMS = {
    "quarter": {"group_fraction": 0.25 * FRACTION},
    "half": {"group_fraction": 0.5 * FRACTION},
    "double": {"group_fraction": 2 * FRACTION},
    "quadruple": {"group_fraction": 4 * FRACTION},
    "cold": {"n_features": 3},
    "warm": {"n_features": 3, "first_mechanism": "data/fixtures/rm.safetensors"},
}
# what lets it climb: one choice changed, or the truth put in the place of a model
CLIMB_ARMS = {
    "before": {"vote_units": "coins", "tied": False, "hcmd_step": 1.0},
    "coins": {"vote_units": "coins"},
    "untied": {"tied": False},
    "long": {"hcmd_step": 1.0},
    "true_vote": {"truth": "vote"},
    "true_play": {"truth": "play"},
    "true_both": {"truth": "both"},
}

# --- places, as patterns -----------------------------------------------------------------------------------------

RUN = runs.of_profile(PROFILE)
CHAIN = RUN / "{run}"  # a seed with the profile's population, seed0, or with another, population2/seed0
ITERATION = CHAIN / runs.iteration("{i}")
SEED = RUN / runs.seed("{seed}")
CONTROL = SEED / runs.CONTROL
FIRST = RUN / runs.seed(0)
RM = runs.rational()
RESULTS, SENSITIVITY, SWEEP = (RUN / part for part in (runs.RESULTS, runs.SENSITIVITY, runs.SWEEP))
QUESTIONS, CLIMB = RUN / runs.QUESTIONS, RUN / runs.CLIMB
PLAYERS, MECHANISM = "players.safetensors", "mechanism.safetensors"


wildcard_constraints:
    run=r"(population\d+/)?seed\d+",
    i=r"\d+",
    seed=r"\d+",
    theta=r"\d",
    sigma=r"\d",
    arm="|".join([*ARMS, *CLIMB_ARMS]),


def each(*names, seeds=SEEDS):
    """List files of every seed."""
    return [RUN / runs.seed(k) / name for name in names for k in seeds]


def last(name):
    """Name a file of a seed's last iteration."""
    return runs.iteration(LAST) / name


def earlier(name):
    """List a file of all iterations before this one."""
    return lambda w: [RUN / w.run / runs.iteration(i) / name for i in range(int(w.i))]


def before(name):
    """List a file of the iteration before; nothing for the first one, and for what is in no iteration."""
    place = lambda w: RUN / w.run / runs.iteration(int(w.i) - 1)
    return lambda w: [place(w) / name] if int(w.get("i", 0)) else []


VERDICT = before("foresight.json")  # on whether to stop


# --- Democratic AI: acquire; then clone, metagame, train, repeat, and again ----------------------------------------

# The chain has all iterations that `n_iterations` allows. Those after the one that met the rule of the repeat are copies
# of it (CARRY_OVER), so that the last one holds what was elected, whichever it is.
CODE = stale.Checkout()
step = partial(steps.Step, CODE, setting)
OF_ITERATION = {"iteration": "{i}"}
CHAINED = 1  # priority of the chain of iterations, on which all else waits
RATIONAL = "train_games election_blocks train_updates="
REPEAT = "judging_groups repeat_groups election_blocks population"
DEMOCRATIC_AI = {
    "acquire": step("20_acquire", CHAIN, [], "pilot_blocks holdout_blocks population", priority=CHAINED),
    "clone": step(
        "21_clone", ITERATION, [CHAIN / "plays.parquet", CHAIN / "holdout.parquet", earlier("plays.parquet"), VERDICT],
        "clone_games clone_updates entropy_weight", OF_ITERATION,
        priority=CHAINED,
    ),
    "metagame": step("22_metagame", ITERATION, [ITERATION / PLAYERS, VERDICT], "metagame_blocks", OF_ITERATION, priority=CHAINED),
    "train": step(
        "23_train", ITERATION, [ITERATION / PLAYERS, ITERATION / "metagame.json", VERDICT],
        "train_games train_updates", OF_ITERATION,
        priority=CHAINED,
    ),
    "repeat": step(
        "28_repeat", ITERATION, [ITERATION / PLAYERS, ITERATION / MECHANISM, VERDICT], REPEAT, OF_ITERATION, priority=CHAINED
    ),
    "elect": step(
        "24_elect", ITERATION, [ITERATION / PLAYERS, ITERATION / MECHANISM, VERDICT, before("votes.csv")],
        "election_blocks", OF_ITERATION,
    ),
    # the control of the first repeat: as many updates more, without the new groups
    "control_clone": step(
        "21_clone", CONTROL, [SEED / "plays.parquet", SEED / "holdout.parquet"],
        "clone_games entropy_weight", {"iteration": 0, "clone_updates": 2 * int(setting["clone_updates"])},
        priority=-1,
    ),
    "control_metagame": step("22_metagame", CONTROL, [CONTROL / PLAYERS], "metagame_blocks", {"iteration": 0}, priority=-1),
    "control_train": step(
        "23_train", CONTROL, [CONTROL / PLAYERS, CONTROL / "metagame.json"],
        "train_games train_updates", {"iteration": 0},
        priority=-1,
    ),
    "control_repeat": step("28_repeat", CONTROL, [CONTROL / PLAYERS, CONTROL / MECHANISM], REPEAT, {"iteration": 0}, priority=-1),
    # RM; the chain of iterations is longer
    "rational": step("27_rational", SEED / RM, settings=f"{RATIONAL}rational_updates", priority=-1),
    # the three other populations of rational players in Table ST2; nothing but that table waits for them
    "compare": step(
        "27_rational", SEED / runs.rational("{theta}", "{sigma}"), [], f"{RATIONAL}comparison_updates",
        {"theta": "{theta}", "sigma": "{sigma}"},
        priority=-2,
    ),
    "experiments": step(
        "25_experiments", CHAIN,
        [lambda w: sorted(glob.glob("data/released/*_exp*.csv")), CHAIN / last(PLAYERS), CHAIN / last(MECHANISM), SEED / RM / MECHANISM],
        "curve_games group_fraction findings_times population",
        {"last_iteration": LAST, "rational": SEED / RM / MECHANISM},
    ),
}

# --- HCMD-zero: independent of all the above, a chain of its own ---------------------------------------------------

# a record is made by the cells up to this one; what comes after looks at it, and may look again
RECORD = "code-" + stale.code_hash(CODE, "26_hcmd_zero", until="hcmd_zero.run(")
HCMD = "population group_fraction hcmd_games hcmd_shortening hcmd_clone_updates hcmd_step"
PLAYED = [runs.HCMD_ZERO / name for name in runs.WRITES["26_hcmd_zero"] if name != MECHANISM]
ASKED = [runs.HCMD_ZERO / f"{name}.csv" for name in ("course", "models", "metagame", "knowable")]
HCMD_STEPS = {
    "self_play": step("26_hcmd_zero", SEED / runs.HCMD_ZERO, [], f"{HCMD} hcmd_splits", {"code": RECORD}, priority=-3),
    "hcmd_figures": step(
        "36_hcmd_zero", RESULTS, each(*PLAYED, seeds=HCMD_SEEDS),
        parameters={"folder": RUN, "profile": PROFILE, "n_seeds": len(HCMD_SEEDS)},
    ),
    # what the original leaves open: other numbers of groups, and another first mechanism
    "arm": step(
        "26_hcmd_zero", QUESTIONS / "{arm}" / runs.seed("{seed}"),
        [lambda w: [path for path in [ARMS[w.arm].get("first_mechanism")] if path]],
        HCMD,
        lambda w: {"code": RECORD, "hcmd_splits": 0} | ARMS[w.arm],
    ),
    "questions": step(
        "43_hcmd_questions", QUESTIONS,
        [
            *each(*ASKED, seeds=QUESTION_SEEDS),
            *(QUESTIONS / arm / runs.seed(k) / "course.csv" for arm in ARMS for k in QUESTION_SEEDS),
        ],
        parameters={"folder": RUN, "profile": PROFILE, "n_seeds": len(QUESTION_SEEDS)},
    ),
    "climb_arm": step(
        "26_hcmd_zero", CLIMB / "{arm}" / runs.seed("{seed}"), [], HCMD, lambda w: {"code": RECORD, "hcmd_splits": 0} | CLIMB_ARMS[w.arm]
    ),
    "climb": step(
        "44_hcmd_climb", CLIMB,
        [
            *each(*ASKED, runs.HCMD_ZERO / "idle_head.csv", seeds=QUESTION_SEEDS),
            *(CLIMB / arm / runs.seed(k) / "course.csv" for arm in CLIMBING for k in QUESTION_SEEDS),
        ],
        parameters={"folder": RUN, "profile": PROFILE, "arms": " ".join(CLIMBING), "n_seeds": len(QUESTION_SEEDS)},
    ),
}

# --- pictures and tables, over all seeds ---------------------------------------------------------------------------

CURVES, TRIALS, VOTES = (each(name) for name in ("fig1c.csv", "trials.parquet", "votes.parquet"))
BEACHES, SURFACE = each(last("beach.csv")), RESULTS / "data/fig3a_beach.csv"
DRAWN = ("31_figure1", "32_figure2", "33_figure3", "34_figure4", "35_supplementary")
FIGURES = [RESULTS / name for notebook in DRAWN for name in runs.WRITES[notebook] if name.endswith(".svg")]
OVER_SEEDS = {"folder": RUN, "n_seeds": len(SEEDS)}
AT_THE_LAST = OVER_SEEDS | {"last_iteration": LAST}
COMPARISONS = [runs.rational(theta, sigma) / "votes.csv" for theta in (1, 3) for sigma in (1, 3)]
TABLES = [RESULTS / name for name in runs.WRITES["39_tables"]]
OF_ITERATIONS = [runs.iteration(i) / name for i in range(LAST + 1) for name in ("votes.csv", "foresight.json")]
FORESIGHT = [runs.iteration(i) / "foresight.csv" for i in range(LAST + 1)]
CONTROLS = [RUN / runs.seed(k) / runs.CONTROL / "foresight.json" for k in COMPARED if LAST]
HEADLINES = [RESULTS / name for name in runs.WRITES["37_numbers"]]
BESIDE = ("data/fig1c.csv", "tables/figS2.csv", "tables/text_statistics.csv")
DEMOCRATIC_AI |= {
    "figure1": step(
        "31_figure1", RESULTS, [*CURVES, FIRST / last("manifold.csv"), FIRST / last("manifold_payouts.csv")],
        parameters=AT_THE_LAST,
    ),
    "figure2": step("32_figure2", RESULTS, VOTES, parameters=OVER_SEEDS),
    "figure3": step("33_figure3", RESULTS, [*TRIALS, *BEACHES, *each(RM / "beach.csv")], parameters=AT_THE_LAST),
    "figure4": step("34_figure4", RESULTS, [*TRIALS, *VOTES], parameters=OVER_SEEDS),
    "supplementary": step(
        "35_supplementary", RESULTS, [*TRIALS, *VOTES, *each(last("virtual_coins.csv"), last("manifold.csv")), SURFACE],
        parameters=AT_THE_LAST,
    ),
    "statistics": step(
        "38_statistics", RESULTS,
        [*TRIALS, *VOTES, *BEACHES, *each("many_blocks.parquet", "many_votes.parquet", last("metagame.csv"))],
        parameters=AT_THE_LAST,
    ),
    "tables": step(
        "39_tables", RESULTS,
        [
            *VOTES, *each(RM / "training.csv", last("metagame.csv"), last("cloning.csv"), *OF_ITERATIONS),
            *each(*COMPARISONS, seeds=COMPARED), *CONTROLS, RESULTS / "tables/intercept_effects.csv",
        ],
        parameters=AT_THE_LAST,
    ),
    "headlines": step(
        "37_numbers", RESULTS,
        [
            *(RESULTS / name for name in BESIDE),
            *(*FIGURES, *TABLES),  # figures are not read, but what they took is: numbers count time and memory
            *(SURFACE, *VOTES, *each(RM / "training.csv", *map(last, ("votes.csv", "metagame.csv", "metagame.json")))),
            *(FIRST / name for name in ("plays.parquet", runs.iteration(0) / PLAYERS)),
        ],
        parameters=AT_THE_LAST,
    ),
    # the last of all, which says what made it
    "summary": step(
        "30_summary", RESULTS,
        [
            *(*HEADLINES, *FIGURES, RESULTS / "data/fig1c.csv", RESULTS / "tables/findings.csv"),
            *(FIRST / name for name in (RM / MECHANISM, last(PLAYERS), last(MECHANISM))),
        ],
        parameters=AT_THE_LAST | {"profile": PROFILE},
    ),
}

# --- what hangs on assumptions: populations with another `loss`, which data hardly tell, one seed each; other readings ----

ASSUMED = [FIRST if k == int(setting["population"]) else RUN / runs.of_population(k) / runs.seed(0) for k in POPULATIONS]
JUDGED = ["fig1c.csv", "many_votes.parquet", *map(last, ("votes.csv", "metagame.csv", "beach.csv"))]
ASSUMPTIONS = {
    "sensitivity": step(
        "42_sensitivity", SENSITIVITY,
        [SENSITIVITY / "slopes.csv", *(seed / name for seed in ASSUMED for name in JUDGED)],
        parameters={
            "folder": RUN, "profile": PROFILE, "last_iteration": LAST,
            "populations": " ".join(map(str, POPULATIONS)), "default": setting["population"],
        },
    ),
    "readings": step(
        "41_readings", SENSITIVITY,
        [
            *(FIRST / name for name in ("plays.parquet", *map(last, (PLAYERS, MECHANISM, "metagame.json", "foresight.json")))),
            *(FIRST / runs.iteration(i) / "plays.parquet" for i in range(LAST)),
        ],
        "judging_groups train_games train_updates election_blocks",
        {"folder": FIRST / runs.iteration(LAST), "results": SENSITIVITY},
    ),
}

# --- other hyper-parameters of the virtual players, one at a time around the paper's -------------------------------

SWEEP_STEPS = {
    "try_players": step(
        "21_clone", SWEEP / "{tried}" / runs.seed("{seed}"), [FIRST / "plays.parquet", FIRST / "holdout.parquet"],
        "clone_games clone_updates",
        lambda w: {
            "folder": FIRST / runs.iteration(0),
            "results": SWEEP / w.tried / runs.seed(w.seed),
            "changed": "" if w.tried == runs.AS_PUBLISHED else w.tried,
        },
    ),
    "sweep": step(
        "40_sweep", SWEEP,
        [SWEEP / tried / runs.seed(k) / "cloning.csv" for tried in (runs.AS_PUBLISHED, *TRIED) for k in SWEEP_SEEDS],
        "sweep_seeds",
        {"folder": RUN, "profile": PROFILE, "tried": " ".join(TRIED)},
    ),
}

# --- rules ---------------------------------------------------------------------------------------------------------

# One core a step, so that steps run side by side. What compiling has taken and freed goes back to the machine (MALLOC): up
# to a quarter of a GiB a step that would be held for nothing. On a graphics card a step takes the memory that it needs,
# not three quarters of all as JAX would, so that two steps can share it. How hard the compiler tries, the profile says.
shell.prefix(
    "set -euo pipefail; export NPROC=1 PYTHONWARNINGS=ignore"
    f" XLA_FLAGS='--xla_cpu_multi_thread_eigen=false {setting['xla_flags']}'"
    " MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072 XLA_PYTHON_CLIENT_PREALLOCATE=false; "
)
# Progress goes to the terminal; a traceback goes to the log, of which `onerror` says the last line. An executed notebook
# gets its name only when it has come to its end.
EXECUTE = (
    'echo ">> {rule} {wildcards}" >&2; rm -f {log};'
    " {{ papermill {params.notebook} {output.notebook}.part.ipynb --parameters_yaml {params.given:q}"
    " --cwd . --no-progress-bar --log-level ERROR 2>&1 >&3"
    " | sed -u -e '/TCP without encryption/d' -e '/^Traceback/,$ {{' -e 'w {log}' -e 'd' -e '}}' >&2; }} 3>&1"  # a pipe is waited for
    " || {{ [ $? -lt 128 ] || echo DeadKernelError >>{log}; false; }}"  # papermill itself was killed
    " && mv {output.notebook}.part.ipynb {output.notebook} && echo {params.recipe:q} >{output.recipe}"
)
CARRY_OVER = "for file in {output}; do cp $(dirname {params.verdict})/$(basename $file) $file; done"
BEGUN = time.time()


onerror:
    print(*steps.why_failed(RUN, since=BEGUN), sep="\n", file=sys.stderr)


localrules:
    all,
    figures,
    hcmd_zero,
    numbers,


ruleorder: rational > compare


rule all:
    input:
        [RESULTS / name for name in ("provenance.json", "hcmd_provenance.json", "numbers.json")],


rule figures:
    input:
        [*FIGURES, RESULTS / "figures/hcmd_fig5.svg"],


rule hcmd_zero:
    input:
        RESULTS / "hcmd_provenance.json",


rule numbers:
    input:
        [RESULTS / "numbers" / f"{system}.json" for system in ("democratic_ai", "hcmd_zero")],
    output:
        RESULTS / "numbers.json",
    run:
        together = {name: number for part in input for name, number in json.loads(Path(part).read_text()).items()}
        Path(output[0]).write_text(json.dumps(together, indent=1) + "\n")


for rule_name, made in (DEMOCRATIC_AI | HCMD_STEPS | ASSUMPTIONS | SWEEP_STEPS).items():

    rule:
        name:
            rule_name
        input:
            partial(steps.inputs, made),
        output:
            made.writes,
            notebook=made.executed,
            recipe=made.executed.with_suffix(".recipe.json"),
        log:
            made.executed.with_suffix(".log"),
        benchmark:
            made.executed.with_suffix(".tsv")
        params:
            notebook=runs.notebook(made.notebook),
            given=partial(steps.given, made),
            recipe=partial(steps.recipe, made),
            verdict=VERDICT,
        priority: made.priority
        shell:
            f"if grep -qs '\"met\": true' {{params.verdict}} </dev/null; then {CARRY_OVER}; else {EXECUTE}; fi"
