"""The words of a bulletin, made by rules from its figures; papers and pages show the same."""

from collections.abc import Sequence

from gridmgmt.index.bulletins.blocks import Block, Facts, Section
from gridmgmt.index.bulletins.notes import notes, talks
from gridmgmt.index.bulletins.reasons import movers, problems
from gridmgmt.index.bulletins.standing import overview, ranking
from gridmgmt.index.tree import Level

ORDINALS = "一二三四五六七八"


def title(data: Facts) -> str:
    """Return the title: 关于2025年12月平安指数情况的通报."""
    return f"关于{data['period']['name']}平安指数情况的通报"


def office(data: Facts) -> str:
    """Return who issues it, by the city's name."""
    return f"{data['city']}网格化服务管理中心"


def sections(data: Facts, remarks: str = "") -> list[Section]:
    """Return the parts of a bulletin in their order; the editor's own words stand last but one."""
    parts: list[tuple[str, Sequence[Block]]] = [
        ("总体情况", overview(data)),
        ("镇街得分及排名", ranking(data, Level.TOWN)),
        ("部门得分及排名", ranking(data, Level.DEPARTMENT)),
        ("升降最大的单位及原因", movers(data)),
        ("突出问题", problems(data)),
        ("约谈和挂牌督办", talks(data)),
        ("工作要求", [line.strip() for line in remarks.splitlines() if line.strip()]),
        ("数据说明", notes(data)),
    ]
    kept = [(name, blocks) for name, blocks in parts if blocks]
    return [Section(f"{ORDINALS[n]}、{name}", tuple(blocks)) for n, (name, blocks) in enumerate(kept)]
