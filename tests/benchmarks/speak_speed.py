"""Speed of normalizing assistant-like text span by span, compared with the grammar on whole lines, and whether the
results agree.

    PYTHONPATH=. python tests/benchmarks/speak_speed.py [DIALOGUES] [--whole N] [--show N]

Generates dialogues (1 000 by default) of long answers with lists, numbers, dates, prices and markdown. Reads all span
by span, and the first 30 (`--whole`) line by line, which takes about 0.6 s of CPU time each. Prints the CPU seconds
(for lines also scaled to all dialogues), their ratio, and the number of turns that differ, the first of them (`--show`)
word by word."""

import argparse
import random
import time
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher

from stages.text.grammar import load_english
from stages.text.normalize import Normalizer, Unspeakable

TOPICS = ["a healthy diet", "learning the piano", "a trip to Lisbon", "your first marathon", "a small vegetable garden",
          "home insurance", "the history of the bicycle", "a job interview", "better sleep", "saving for a house"]  # fmt: skip
OPENERS = ["Sure! Here are some tips for {topic}:", "Of course. Let's look at **{topic}** step by step.",
           "There are several things to keep in mind about {topic}, and most of them are easier than they sound.",
           "Great question, {topic} is something that many people ask about."]  # fmt: skip
PLAIN = ["Start slowly and listen to your body, because it knows more than any plan.",
         "Talk to someone who has done it before, and write down what they tell you.",
         "It is fine to change your mind along the way; nobody gets everything right at once.",
         "Many beginners forget this, although it makes the biggest difference in the end.",
         "For example, you could ask a friend to join you, so that neither of you gives up.",
         "Keep a small notebook with you, and look at it again at the end of each week."]  # fmt: skip
NUMBERED = ["Set aside {minutes} minutes a day, {few} times a week.", "Plan to spend about ${price} in the first {few} months.",
            "On average it takes {weeks} weeks, though {percent}% of people need longer.",
            "Book it by {month} {day}, {year}, since prices rise by {percent}% after that.",
            "The class starts at {hour}:{quarter} pm and costs ${price}.{cents} per person.",
            "In {year}, over {thousands},000 people tried it (about 1 in {few}).",
            "Drink {few} liters of water, eat {grams} g of protein, and walk {few}.5 km.",
            "The {ordinal}th edition, published in {year}, has {weeks} chapters."]  # fmt: skip
QUESTIONS = ["Can you tell me about {topic}?", "How do I start with {topic} if I only have {minutes} minutes a day?",
             "What would you say about {topic} for somebody who is {weeks} years old?"]  # fmt: skip
MONTHS = ["January", "March", "May", "June", "September", "November"]


def dialogues(count: int) -> Iterator[str]:
    """The turns of `count` dialogues, each with two user turns and two long answers."""
    draw = random.Random(0)

    def fill(sentence: str) -> str:
        return sentence.format(
            topic=draw.choice(TOPICS), minutes=draw.randrange(10, 60, 5), few=draw.randint(2, 9),
            price=draw.randint(10, 2_000), weeks=draw.randint(10, 40), percent=draw.randint(5, 95),
            month=draw.choice(MONTHS), day=draw.randint(1, 28), year=draw.randint(1900, 2030), hour=draw.randint(1, 12),
            quarter=draw.choice(["00", "15", "30", "45"]), cents=draw.randint(10, 99), thousands=draw.randint(1, 900),
            grams=draw.randint(50, 150), ordinal=draw.randint(4, 20),
        )  # fmt: skip

    def item() -> str:
        sentences = [draw.choice(PLAIN), draw.choice(PLAIN), draw.choice(NUMBERED if draw.random() < 0.6 else PLAIN)]
        draw.shuffle(sentences)
        return f"**{draw.choice(['Plan', 'Rest', 'Cost', 'Time'])}**: " + " ".join(sentences)

    for _ in range(count):
        for _ in range(2):
            yield fill(draw.choice(QUESTIONS))
            items = [item() for _ in range(draw.randint(3, 6))]
            lines = [
                f"{number}. {each}" if draw.random() < 0.7 else f"- {each}" for number, each in enumerate(items, 1)
            ]
            yield fill("\n".join([draw.choice(OPENERS), "", *lines]))


def read_all(read: Callable[[str], str], turns: list[str]) -> tuple[list[str], float]:
    readings = []
    started = time.process_time()
    for turn in turns:
        try:
            readings.append(read(turn))
        except Unspeakable as error:
            readings.append(f"({error.reason})")
    return readings, time.process_time() - started


def differences(whole: str, spans: str) -> str:
    a, b = whole.split(), spans.split()
    edits = SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    return "; ".join(f"{' '.join(a[i:j])!r} → {' '.join(b[k:m])!r}" for kind, i, j, k, m in edits if kind != "equal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dialogues", nargs="?", type=int, default=1_000)
    parser.add_argument("--whole", type=int, default=30)
    parser.add_argument("--show", type=int, default=10)
    given = parser.parse_args()
    turns = list(dialogues(given.dialogues))
    grammar, _ = load_english()
    before, after = Normalizer(), Normalizer()
    before._spans = lambda line: grammar(line) + (line[-1] if line[-1] in ".?!" else "")  # type: ignore[assignment]
    sampled = min(given.whole, given.dialogues)
    whole, sample_s = read_all(before, turns[: 4 * sampled])
    spans, spans_s = read_all(after, turns)
    whole_s = sample_s / sampled * given.dialogues
    words = sum(len(text.split()) for text in spans)
    print(f"{given.dialogues} dialogues, {len(turns)} turns, {words} spoken words")
    print(f"whole lines {sample_s:.1f} s for {sampled} dialogues, {whole_s:.0f} s for all at that rate")
    print(f"spans {spans_s:.1f} s for all: {whole_s / spans_s:.1f} × as fast")
    changed = [(a, b) for a, b in zip(whole, spans, strict=False) if a != b]
    print(
        f"{len(changed)} turns read otherwise, {sum(a.lower() != b.lower() for a, b in changed)} of them not in case alone"
    )
    for a, b in changed[: given.show]:
        print(f"    {differences(a, b)}")


if __name__ == "__main__":
    main()
