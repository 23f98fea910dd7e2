"""People who answer as often rightly as we say."""

ANSWERS = ("first", "second", "equal")


def simulated(rng, queries, accuracies, share=0.7, of=ANSWERS):
    """True answers, and (query, person, answer): each person answers a `share` of the queries and
    errs evenly."""
    truth = [str(name) for name in rng.choice(of, size=queries)]
    said = []
    for person, accuracy in accuracies.items():
        for query, true in enumerate(truth):
            if rng.random() < share:
                wrong = [name for name in of if name != true]
                right = rng.random() < accuracy
                said.append((query, person, true if right else str(rng.choice(wrong))))
    return truth, said
