"""Size claims of a grammar file against the exact count."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal

from dslc.diagnostics import Code, Diagnostic, Severity
from dslc.language.pragmas import SizeClaim
from dslc.space import Space


def check_sizes(space: Space) -> Iterator[Diagnostic]:
    """An error for each size claim about the space's start that the exact count does not confirm."""
    for claim in size_claims(space):
        exact = claimed_count(space, claim)
        if not claim_holds(claim.text, exact):
            yield Diagnostic(
                Code.SIZE_CLAIM_WRONG,
                Severity.ERROR,
                f"`{space.start}` has {exact:,} {space.count_unit}"
                + (f" of {claim.at_tokens} tokens" if claim.at_tokens is not None else "")
                + f", not {claim.text}",
                span=claim.span,
                help=f"write `//! size {_write_size(exact)}`, or correct the grammar",
            )


def _write_size(exact: int) -> str:
    return str(exact) if exact < 10**12 else f"{Decimal(exact):.3e}".replace("+", "")


def size_claims(space: Space) -> tuple[SizeClaim, ...]:
    """The claims that are about this start."""
    pragmas = space.compilation.grammar.pragmas
    return tuple(claim for claim in pragmas.sizes if (claim.start or pragmas.starts[0]) == space.start)


def claimed_count(space: Space, claim: SizeClaim) -> int:
    """The exact number that a claim is about: all sentences, or those of one length."""
    if claim.at_tokens is None:
        return space.count()
    counts = space.counts()
    return counts[claim.at_tokens] if claim.at_tokens < len(counts) else 0


def claim_holds(text: str, exact: int) -> bool:
    """True if `exact`, rounded to the digits that `text` writes, equals it.

    Example:
        >>> claim_holds("6.3e16", 63331869759897600), claim_holds("6.4e16", 63331869759897600)
        (True, False)
        >>> claim_holds("36864", 36864), claim_holds("36_865", 36864)
        (True, False)
    """
    claimed = Decimal(text.replace("_", ""))
    exponent = claimed.as_tuple().exponent
    assert isinstance(exponent, int), "a size claim is a finite number"
    if exponent <= 0:
        return bool(claimed == exact)
    step = 10**exponent
    quotient = (Decimal(exact) / step).quantize(Decimal(1), rounding=ROUND_HALF_EVEN) if exact < 10**27 else None
    if quotient is None:  # integers past the precision of Decimal are rounded by hand
        whole, rest = divmod(exact, step)
        quotient = Decimal(whole + (2 * rest > step or (2 * rest == step and whole % 2 == 1)))
    return bool(int(quotient) * step == int(claimed))
