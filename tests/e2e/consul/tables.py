"""All families of rows, in the order in which they are asked."""
from . import (agent, blocking, catalog, foreign, general, health, kv, query,
               session, txn)

FAMILIES = (general, agent, catalog, health, kv, session, txn, query, blocking,
            foreign)


def rows():
    for family in FAMILIES:
        name = family.__name__.rsplit(".", 1)[1]
        for row in family.ROWS:
            yield name, row
