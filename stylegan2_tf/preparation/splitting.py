"""Parts of a set by whole subjects, and the proof that nobody stands on two sides."""

from stylegan2_tf.data import printable
from stylegan2_tf.data.subjects import shuffled
from stylegan2_tf.errors import UsageError


def assign(groups, shares, seed):
    """The part that each image belongs to; images of one group stay together.

    Who comes where depends on `seed` and the groups, not on their order.

    Args:
        groups: The group of each image: its subject, or something of its own.
        shares: Share of the groups in each part, a dict; the shares add up to 1.
        seed: Another seed gives other parts.

    Returns:
        List of keys of `shares`. Each part has at least one group.

    Raises:
        UsageError: There are fewer groups than parts.
    """
    people = sorted(set(groups))
    if len(people) < len(shares):
        raise UsageError(f"--split: expected at least {len(shares)} subjects, one a part, found "
                         f"{len(people)} in {len(groups):,} images; give fewer parts or more data")
    people = shuffled(people, seed)
    part_of, start, total = {}, 0, 0.0
    for number, (name, share) in enumerate(shares.items(), 1):
        total += share
        last = number == len(shares)
        end = len(people) if last else round(total * len(people))
        end = min(max(end, start + 1), len(people) - (len(shares) - number))
        part_of.update(dict.fromkeys(people[start:end], name))
        start = end
    return [part_of[group] for group in groups]


def check_sides(parts, digests, names, constant):
    """Refuse an image whose pixels stand in two parts; those of one value show nobody.

    Args:
        parts: Part of each image.
        digests, names, constant: Of each image: a text equal for equal pixels, what to call it,
            and whether it has one value everywhere.

    Raises:
        UsageError: See above; it names two of them.
    """
    first, pairs = {}, []
    for index, (part, digest) in enumerate(zip(parts, digests, strict=True)):
        if constant[index]:
            continue
        other = first.setdefault(digest, index)
        if parts[other] != part:
            pairs.append((other, index))
    if pairs:
        one, two = pairs[0]
        raise UsageError(
            f"--split: expected no image in two parts, found {len(pairs):,} with the pixels of "
            f"one elsewhere, such as {printable(names[one])} in {parts[one]} and "
            f"{printable(names[two])} in {parts[two]}; remove one of each pair, or give both one "
            "subject with --subject-pattern")
