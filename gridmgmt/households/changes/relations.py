"""What people are to a new head, derived from what they were to the old one, so that nobody is asked.

What the five words cannot say (a grandchild, a daughter-in-law) becomes "other".
"""

from gridmgmt.households.models import Relation

HEAD, SPOUSE, CHILD, PARENT, OTHER = (
    Relation.HEAD, Relation.SPOUSE, Relation.CHILD, Relation.PARENT, Relation.OTHER,
)  # fmt: skip

# what the new head was to the old one -> what another was to the old one -> what that one is to the new
_SEEN = {
    HEAD: {each: each for each in Relation},
    SPOUSE: {HEAD: SPOUSE, CHILD: CHILD},
    CHILD: {HEAD: PARENT, SPOUSE: PARENT},
    PARENT: {HEAD: CHILD, PARENT: SPOUSE},
    OTHER: {},
}
# what a household's head is to the head of another that it joins -> what its people are to that one
_JOINED = {
    SPOUSE: {CHILD: CHILD},
    CHILD: {},
    PARENT: {SPOUSE: PARENT},
    OTHER: {},
}


def seen_from(new_head: Relation, other: Relation) -> Relation:
    """Return what `other` is to a new head; both are given as what they were to the old head.

    >>> seen_from(Relation.CHILD, Relation.SPOUSE).value, seen_from(Relation.SPOUSE, Relation.CHILD).value
    ('parent', 'child')
    """
    return _SEEN[new_head].get(other, OTHER)


def joined_as(head_is: Relation, relation: Relation) -> Relation:
    """Return what a member is to the head of the household that takes in the member's own.

    `head_is` is what the member's head is to that head, `relation` what the member was to the own head.
    """
    return head_is if relation is HEAD else _JOINED[head_is].get(relation, OTHER)
