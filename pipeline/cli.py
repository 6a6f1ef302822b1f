"""The `salm-duplex` command."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from manifests.errors import RequestError, WorkError

app = typer.Typer(
    name="salm-duplex",
    help="Text dialogues in, two-channel full-duplex speech corpora out.\n\n"
    "Start with: salm-duplex build dialogues.jsonl --out CORPUS",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
codec_app = typer.Typer(help="Train, personalise and score the speech codec.", no_args_is_help=True)
app.add_typer(codec_app, name="codec")
vad_app = typer.Typer(help="Train the voice activity model that `verify` listens with.", no_args_is_help=True)
app.add_typer(vad_app, name="vad")

RecipeOption = Annotated[
    Path | None, typer.Option("--recipe", help="A YAML recipe; `salm-duplex recipe` prints the default one.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one key of the recipe; may be repeated."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")]
CorpusArgument = Annotated[Path, typer.Argument(metavar="CORPUS", help="A corpus folder that `build` made.")]


def _run_folder(name: str) -> Path:
    """`bundled`, where there is no such folder, is the small agent that comes with the package."""
    from salm_duplex_model.checkpoint import BUNDLED_RUN

    return BUNDLED_RUN if name == "bundled" and not Path(name).exists() else Path(name)


RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", parser=_run_folder, help="A run folder that `train` made, or 'bundled'.")
]
TemperatureOption = Annotated[
    float, typer.Option("--temperature", min=0, max=5, help="Of the text. 0: always the likeliest; above: drawn.")
]
CodeTemperatureOption = Annotated[
    float,
    typer.Option(
        "--code-temperature", min=0, max=5, help="Of the codes. 0 is apt to hang in one sound, as greedy speech does."
    ),
]
SpeakingCodecOption = Annotated[
    str | None,
    typer.Option(
        "--codec",
        help="What the agent speaks with, such as a personalised one; default: the codec of the run's corpora.",
        show_default=False,
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="For what is drawn.")]

out_console = Console(soft_wrap=True, highlight=False)
err_console = Console(stderr=True, soft_wrap=True, highlight=False)


def main() -> None:
    """Run the command line; a user's mistake becomes one sentence and exit code 2, failed work one and exit code 1."""
    try:
        app(prog_name="salm-duplex")
    except RequestError as error:
        err_console.print(f"[bold red]salm-duplex:[/] {escape(str(error))}")
        sys.exit(2)
    except WorkError as error:
        err_console.print(f"[bold red]salm-duplex:[/] {escape(str(error))}")
        sys.exit(1)
    except KeyboardInterrupt:
        err_console.print("salm-duplex: stopped; what is finished is kept, and the same command goes on from there.")
        sys.exit(1)


@app.command()
def build(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Dialogue files or URLs: JSONL, JSON or Parquet, plain, gzip or zstd."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The corpus folder; an unfinished one is resumed.")],
    recipe: RecipeOption = None,
    set_: SetOption = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Shards worked on at once; one per core, if not given.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Read at most so many dialogues.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn text dialogues into a two-channel speech corpus.

    Runs on this machine, or on the Ray cluster that submitted it. Run again after a stop, it goes on where it was.
    """
    from pipeline.build import build as run
    from pipeline.recipe import load_recipe

    loaded = load_recipe(recipe, set_ or [])
    with _progress("shards", quiet=as_json) as progress:
        info = run(inputs, out, loaded, workers, limit, progress)
    statistics = info["statistics"]
    if as_json:
        _print_json({"corpus": str(out), **statistics})
    else:
        kept = statistics["dialogues"]
        out_console.print(
            f"[bold]{escape(str(out))}[/]: {sum(kept.values())} dialogues ({', '.join(f'{n} {split}' for split, n in kept.items())}), "
            f"{statistics['hours']:.2f} hours, {statistics['barge_ins']} barge-ins; "
            f"{statistics['rejected']} of {statistics['dialogues_read']} rejected"
        )
        for reason, number in statistics["rejected_by_reason"].items():
            out_console.print(f"  rejected {number} × {reason}")
        out_console.print(f"See {out / 'report.html'}")
    if not any(statistics["dialogues"].values()):
        raise WorkError(f"No dialogue could be used; {out / 'rejected'} says why for each.")


@app.command(name="asr-qa")
def asr_qa_command(
    cuts: Annotated[Path, typer.Argument(metavar="CUTS", help="A Lhotse cuts manifest with transcripts.")],
    out: Annotated[Path, typer.Option("--out", help="The dialogue file to write (JSONL); a stopped run is resumed.")],
    url: Annotated[
        str, typer.Option("--url", help="An OpenAI-compatible endpoint, such as https://api.openai.com/v1.")
    ],
    model: Annotated[str, typer.Option("--model", help="The endpoint's model. Its key is taken from OPENAI_API_KEY.")],
    pairs: Annotated[
        int, typer.Option("--pairs", min=1, max=20, help="Recordings, each with a question, in a dialogue.")
    ] = 2,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Use at most so many cuts.")] = None,
    min_words: Annotated[int, typer.Option("--min-words", min=1, help="Leave out shorter transcripts.")] = 6,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=256, help="Questions asked at once.")] = 4,
    as_json: JsonOption = False,
) -> None:
    """Write dialogues about real recordings: an LLM asks and answers about their transcripts.

    The user is heard saying the recording, and asks in a synthesized voice. `build` takes the file as any other.
    """
    from pipeline.asr_qa import Request, write_dialogues

    request = Request(cuts, out, url, model, pairs, limit, min_words, concurrency)
    with _progress("cuts", quiet=as_json) as progress:
        written = write_dialogues(request, progress)
    if as_json:
        _print_json(asdict(written))
    else:
        out_console.print(f"[bold]{escape(str(out))}[/]: {written.dialogues} dialogues, {written.questions} questions")
        for reason, number in written.left_out.items():
            out_console.print(f"  left out {number} × {reason}")
    if not written.dialogues:
        raise WorkError(f"No cut could be used; {out}.rejected.jsonl says why for each.")


@app.command(name="scenes")
def scenes_command(
    corpus: CorpusArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder for the scenes, a corpus each.")],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="SCENE", help="Make this scene; may be repeated. All, if not given."),
    ] = None,
    takes: Annotated[
        int, typer.Option("--takes", min=1, help="Perform each dialogue so often, with other voices and timing.")
    ] = 1,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Use at most so many dialogues.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="As of `build`.")] = None,
) -> None:
    """Make test sets from a corpus's test split that each ask one thing: interruptions, pauses, noise …

    Dialogues and voices are those that training never hears. `evaluate` takes them with --corpus.
    """
    from manifests.corpus import open_corpus
    from pipeline.scenes import SCENES, make_scenes

    def tell(name: str, info: dict[str, Any]) -> None:
        s = info["statistics"]
        out_console.print(
            f"[bold]{escape(str(out / name))}[/]: {SCENES[name].asks}; {s['dialogues']['test']} dialogues, "
            f"{s['hours']:.2f} hours, {s['barge_ins']} barge-ins, {s['pauses']} pauses, {s['backchannels']} backchannels"
        )

    make_scenes(open_corpus(corpus), out, only or list(SCENES), takes, limit, workers, tell)


@app.command()
def stage(
    name: Annotated[
        str, typer.Argument(help="ingest, speak, cast, synthesize, schedule, render, verify, tokenize or pack.")
    ],
    source: Annotated[
        Path, typer.Option("--in", help="What the stage before wrote; for ingest, a dialogue file or a folder of them.")
    ],
    out: Annotated[Path, typer.Option("--out", help="A new folder for what this stage writes.")],
    recipe: RecipeOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a single stage, to see what it does or to try your own in its place."""
    from pipeline.recipe import load_recipe
    from pipeline.single import run_stage

    loaded = load_recipe(recipe, set_ or [])
    with _progress("dialogues", quiet=as_json) as progress:
        counts = run_stage(name, source, out, loaded, lambda done: progress(done, 0, name))
    if as_json:
        _print_json(counts)
    else:
        out_console.print(
            f"[bold]{escape(str(out))}[/]: {counts['kept']} dialogues kept, {counts['rejected']} rejected"
        )


@app.command(name="report")
def report_command(corpus: CorpusArgument) -> None:
    """Write the corpus's report.html and dataset card again."""
    from manifests.corpus import open_corpus
    from pipeline.report.card import card
    from pipeline.report.page import report

    opened = open_corpus(corpus)
    with _writes(corpus):
        (corpus / "README.md").write_text(card(opened), "utf-8")
        (corpus / "report.html").write_text(report(opened), "utf-8")
    out_console.print(f"Wrote {corpus / 'report.html'} and {corpus / 'README.md'}")


@app.command(name="inspect")
def inspect_command(
    corpus: CorpusArgument,
    id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A dialogue's id; without one, the first with a barge-in.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the stereo WAV and the timeline picture.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show one dialogue: as text, and with --out as a stereo WAV (left user, right agent) and a timeline picture."""
    from manifests.corpus import open_corpus
    from pipeline.report.inspection import cut_as_json, inspect_text, write_stereo, write_timeline

    opened = open_corpus(corpus)
    if id is None:
        if not opened.dialogues:
            raise RequestError(f"The corpus {corpus} holds no dialogues.")
        id = next((row["id"] for row in opened.dialogues if row["barge_ins"]), opened.dialogues[0]["id"])
    cut = opened.cut(id)
    if as_json:
        _print_json(cut_as_json(cut))
    else:
        out_console.print(escape(inspect_text(cut)))
    if out is not None:
        with _writes(out):
            out.mkdir(parents=True, exist_ok=True)
            write_stereo(cut, out / f"{id}.wav")
            write_timeline(cut, out / f"{id}.png")
        if not as_json:
            out_console.print(f"Wrote {out / f'{id}.wav'} and {out / f'{id}.png'}")


@app.command(name="recipe")
def recipe_command(recipe: RecipeOption = None, set_: SetOption = None) -> None:
    """Print a complete recipe in YAML: the default one, or yours with the defaults filled in."""
    import yaml

    from pipeline.recipe import load_recipe

    sys.stdout.write(
        yaml.safe_dump(load_recipe(recipe, set_ or []).as_dict(), sort_keys=False, allow_unicode=True, width=120)
    )


@app.command()
def train(
    corpus: Annotated[
        list[Path], typer.Option("--corpus", help="A corpus folder that `build` made; repeat it to mix several.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The run's folder; an unfinished run is gone on with.")],
    preset: Annotated[
        str, typer.Option("--preset", help="tiny, small or tinyllama; or a YAML file like a preset's.")
    ] = "tiny",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override one key of the preset; may be repeated."),
    ] = None,
    workers: Annotated[
        int,
        typer.Option("--workers", min=1, help="Processes that share the work under Ray Train, a GPU for each if any."),
    ] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print parameters, memory, step time and schedule, and stop.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train the SALM-Duplex model on corpora; run again after a stop, it goes on from its last checkpoint."""
    from pipeline.train import load_config, plan, run_training
    from salm_duplex_model.data import open_for_training

    config = load_config(preset, set_ or [])
    for path in corpus:
        open_for_training(path)
    needs = plan(config, workers, timed=dry_run)
    if dry_run:
        _print_estimate(needs, config.optimizer.steps, as_json)
        return
    with _progress("steps", quiet=as_json) as progress:
        result = run_training(corpus, out, config, workers, progress)
    if as_json:
        _print_json({"run": str(out), **result})
        return
    table = Table("channel", "validation loss", "of a unigram model", box=None, pad_edge=False)
    for name in ("text", "codes"):
        table.add_row(name, f"{result[f'validation_{name}']:.3f}", f"{result[f'unigram_{name}']:.3f}")
    out_console.print(f"[bold]{escape(str(out))}[/]: {result['step']} steps; in nats a token:")
    out_console.print(table)
    out_console.print(f"See {out / 'loss.png'}, or tensorboard --logdir {out}")


def _print_estimate(needs: Any, steps: int, as_json: bool) -> None:
    if as_json:
        _print_json(needs.as_dict())
        return
    table = Table("part", "parameters", "trained", box=None, pad_edge=False)
    for part, (every, trained) in needs.parameters.items():
        table.add_row(part, f"{every:,}", f"{trained:,}")
    out_console.print(table)
    gib = 2**30
    out_console.print(
        f"memory of each process, about: {needs.weights_bytes / gib:.2f} GiB weights, gradients and moments, "
        f"{needs.activations_bytes / gib:.2f} GiB activations; {needs.free_bytes / gib:.2f} GiB are free"
    )
    out_console.print(
        f"a step of {needs.frames_a_step} frames ({needs.frames_a_step * 0.08:.0f} s of dialogue): about "
        f"{needs.step_seconds:.2f} s here; {steps} steps: {steps * needs.step_seconds / 60:.1f} min"
    )
    rates = ", ".join(f"{rate:.2e} at step {step}" for step, rate in needs.learning_rates.items())
    out_console.print(f"learning rate: {rates}")


@app.command(name="evaluate")
def evaluate_command(
    run: RunArgument,
    corpus: Annotated[list[Path], typer.Option("--corpus", help="A corpus with a test split; repeat it for several.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.json", help="The figures; a plot goes beside, as .png.")],
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "test",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Play at most so many dialogues a corpus.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Dialogues played side by side.")] = 16,
    temperature: TemperatureOption = 0,
    code_temperature: CodeTemperatureOption = 0.8,
    seed: SeedOption = 0,
    codec: SpeakingCodecOption = None,
    asr: Annotated[
        str | None,
        typer.Option(
            "--asr", help="Recognizer for the agent's words: pocketsphinx, a .nemo file, or a NeMo model's name."
        ),
    ] = None,
    utmos: Annotated[
        Path | None,
        typer.Option("--utmos", help="UTMOS as a TorchScript file, to mark how natural the agent's speech sounds."),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option("--judge", metavar="URL", help="An OpenAI-compatible endpoint that marks what the agent says."),
    ] = None,
    judge_model: Annotated[
        str | None, typer.Option("--judge-model", help="The judge's model; its key is in OPENAI_API_KEY.")
    ] = None,
    fdb: Annotated[
        Path | None,
        typer.Option("--fdb", help="Also write the examples in Full-Duplex-Bench's layout, to a new folder."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Play test sets to a trained model and measure how it converses: barge-ins, turns, pauses, words."""
    from pipeline.evaluate import Request, evaluate, tables
    from salm_duplex_model.session import Decoding

    decoding = Decoding(temperature, code_temperature, seed)
    request = Request(run, corpus, out, split, limit, batch, decoding, asr, utmos, judge, judge_model, fdb, codec)
    with _progress("dialogues", quiet=as_json) as progress:
        result = evaluate(request, progress)
    if as_json:
        _print_json(result)
        return
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    for table in tables(result):
        console.print(table)
    out_console.print(f"Wrote {out}, {out.with_suffix('.png')} and a conversation, {out.with_suffix('.wav')}")


@app.command(name="slim")
def slim_command(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", help="A new folder.")],
) -> None:
    """Copy a run for use alone: the newest weights in half precision, without what only training needs."""
    from salm_duplex_model.checkpoint import slim

    weights = slim(run, out)
    out_console.print(f"Wrote {out}: {weights.stat().st_size / 1e6:.1f} MB of weights")


@app.command(name="converse")
def converse_command(
    run: RunArgument,
    user: Annotated[Path, typer.Option("--user", help="A recording of the user: any rate, any format.")],
    out: Annotated[Path, typer.Option("--out", help="The WAV to write.")],
    stereo: Annotated[bool, typer.Option("--stereo", help="Write both: left the user, right the agent.")] = False,
    text: Annotated[bool, typer.Option("--text", help="Print what the agent says, with its times.")] = False,
    tail: Annotated[float, typer.Option("--tail", min=0, max=600, help="Seconds of silence after the recording.")] = 4,
    temperature: TemperatureOption = 0,
    code_temperature: CodeTemperatureOption = 0.8,
    seed: SeedOption = 0,
    codec: SpeakingCodecOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play a recording to a trained model, 80 ms at a time, and write what it answers."""
    from pipeline.converse import converse, write_conversation
    from salm_duplex_model.session import Decoding

    conversation = converse(run, user, tail, Decoding(temperature, code_temperature, seed), codec)
    write_conversation(conversation, out, stereo)
    told = conversation.as_dict()
    if as_json:
        _print_json({"out": str(out), **told})
        return
    for turn in conversation.turns if text else ():
        out_console.print(f"{turn.start:7.2f} – {turn.end:6.2f} s  {escape(turn.text)}")
    out_console.print(
        f"Wrote {out}: {told['seconds']} s; a step of 80 ms took {told['step_ms_mean']} ms in the mean, "
        f"{told['step_ms_p99']} at the 99th percentile"
    )


@app.command(name="serve")
def serve_command(
    run: RunArgument,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0: any that is free.")] = 8_765,
    max_sessions: Annotated[
        int, typer.Option("--max-sessions", min=1, max=256, help="Conversations at once; others are told to wait.")
    ] = 20,
    temperature: TemperatureOption = 0,
    code_temperature: CodeTemperatureOption = 0.8,
    seed: SeedOption = 0,
    codec: SpeakingCodecOption = None,
) -> None:
    """Talk to a trained model live: a page with your microphone, or a WebSocket for programs."""
    from pipeline.serve import serve
    from salm_duplex_model.session import Decoding

    decoding = Decoding(temperature, code_temperature, seed)
    serve(run, host, port, max_sessions, decoding, lambda line: out_console.print(escape(line)), codec)


@app.command(name="doctor")
def doctor_command(as_json: JsonOption = False) -> None:
    """Say which components are usable here, and how to get the others."""
    from pipeline.doctor import examine

    findings = examine()
    if as_json:
        _print_json([finding.as_dict() for finding in findings])
    else:
        table = Table("component", "usable", "for", "what was found, or how to get it", box=None, pad_edge=False)
        for f in findings:
            table.add_row(f.component, "[green]yes[/]" if f.usable else "[yellow]no[/]", f.purpose, escape(f.detail))
        Console(width=None if sys.stdout.isatty() else 160, highlight=False).print(table)
    if not all(finding.usable for finding in findings if finding.needed):
        raise WorkError("An embedded default is not usable; install the project again with `pip install .`.")


@codec_app.command(name="train")
def codec_train(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUT...]",
            help="Dialogue files whose sentences are spoken, beside random ones; default: the bundled dialogues.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The checkpoint to write (.safetensors).")] = Path(
        "codec.safetensors"
    ),
    set_: SetOption = None,
) -> None:
    """Train the codec on speech that eSpeak NG makes, personalised to the agent's voice."""
    from pipeline.codec import train

    train(inputs or [], out, set_ or [], err_console.print)


@codec_app.command(name="personalize")
def codec_personalize(
    codec: Annotated[
        str,
        typer.Argument(
            metavar="CODEC", help="'bundled', a checkpoint, a .nemo file, or a NeMo codec's name on the hub."
        ),
    ],
    corpus: Annotated[
        Path,
        typer.Option("--corpus", help="A corpus whose agent speaks in the voice, or a folder of WAV or FLAC files."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The codec to write, in the format of CODEC.")],
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a codec's decoder on one voice. Its codes stay what they are, bit for bit.

    It is scored before and after on sentences that are held out.
    """
    from pipeline.codec import personalize

    scores = personalize(codec, corpus, out, set_ or [], err_console.print)
    if as_json:
        _print_json(scores)
        return
    table = Table("", "sentences", "STOI", "log-mel distance", box=None, pad_edge=False)
    for name in ("before", "after"):
        row = scores[name]
        table.add_row(name, str(row["n"]), f"{row['stoi']:.3f}", f"{row['mel_distance']:.3f}")
    out_console.print(table)
    out_console.print(f"[bold]{escape(str(out))}[/]: codes as before; sha256 {scores['sha256'][:12]}")


@codec_app.command(name="score")
def codec_score(
    checkpoint: Annotated[
        str, typer.Argument(metavar="[CODEC]", help="'bundled', a checkpoint, a .nemo file, or a NeMo codec's name.")
    ] = "bundled",
    as_json: JsonOption = False,
) -> None:
    """Score a codec on unseen sentences: STOI, PESQ and log-mel distance, for the agent's voice and users' voices."""
    from pipeline.codec import score

    scores = score(checkpoint)
    if as_json:
        _print_json(scores)
        return
    table = Table("voice", "sentences", "STOI", "PESQ", "log-mel distance", box=None, pad_edge=False)
    for name, row in scores["voices"].items():
        table.add_row(name, str(row["n"]), f"{row['stoi']:.3f}", f"{row['pesq']:.2f}", f"{row['mel_distance']:.3f}")
    out_console.print(table)
    out_console.print(f"{scores['bits_per_second']:.0f} bits a second")


@vad_app.command(name="train")
def vad_train(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INPUT...]", help="Dialogue files to perform; default: the bundled dialogues."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The checkpoint to write (pyannote.audio's format).")] = Path(
        "vad.ckpt"
    ),
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe", help="How to perform them; if not given, with pauses, noise, half of eSpeak NG's voices."
        ),
    ] = None,
    set_: SetOption = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="How long to train.")] = 1500,
) -> None:
    """Train a voice activity model on renderings of a recipe's voices: name it in `verify.vad`."""
    from pipeline.recipe import load_recipe
    from pipeline.vad import BUNDLED_RECIPE, train

    train(inputs or [], out, load_recipe(recipe or BUNDLED_RECIPE, set_ or []), steps, err_console.print)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


@contextmanager
def _writes(where: Path) -> Iterator[None]:
    """Turn a refusal of the file system into a sentence."""
    try:
        yield
    except OSError as error:
        raise WorkError(f"{where} can't be written: {error.strerror or error}.") from error


@contextmanager
def _progress(unit: str, quiet: bool) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar on a terminal, plain lines elsewhere, nothing where JSON is wanted. A total of 0 is not known yet."""
    if quiet or not err_console.is_terminal:
        yield (lambda done, total, message: None) if quiet else _lines(unit)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err_console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, message: bar.update(task, completed=done, total=total or None, description=message)


def _lines(unit: str) -> Callable[[int, int, str], None]:
    told: list[tuple[int, str]] = []

    def tell(done: int, total: int, message: str) -> None:
        # Without a total (single stages) a line for every dialogue would drown the rest.
        if (total or (done and done % 100 == 0)) and (not told or told[-1] != (done, message)):
            told.append((done, message))
            err_console.print(f"{done}/{total} {unit}: {escape(message)}" if total else f"{message} ({done} {unit})")

    return tell


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "120")
    main()
