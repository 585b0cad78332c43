"""Invented names: the city, its towns, villages and roads, and people. None is a real place or person."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CITY = "清穗市"
COUNTY_CODE = "379981"  # six digits that GB/T 2260 does not assign

STREET_NAMES = [
    "杏林", "清源", "望穗", "崇文", "南浦", "锦麓", "新禾", "北苑", "东篱", "西渚", "安澜", "怀古",
    "明堂", "丰乐", "云桥",
]  # fmt: skip
TOWN_NAMES = [
    "柳溪", "石磨", "白鹭洼", "双槐", "大汶桥", "青谷", "黄粱铺", "枣岭", "沙浮", "甘棠", "龙耳", "麦丘",
    "凤眼泉", "小榆", "长垄", "鹤栖", "松柏寨", "临漪", "古井", "三窑", "金柿", "望云台", "牧牛岗",
    "芦花", "赤岩", "梨园集", "葛藤", "桑梓", "玉带河", "鲤塘", "雁回", "荞麦岭", "长亭集",
]  # fmt: skip
_COMMUNITY_FIRST = "杏桃清文春锦秀永和祥瑞安康乐福景明德仁义礼信惠芳兰竹梅松柏荷"
_COMMUNITY_SECOND = "林园苑泉河湖桥亭阁庭坊里巷台源华盛兴宁泰"
_FAMILIES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛"
    "叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔"
    "贺赖龚文"
)
_SITES = "柳槐杨榆桃杏梨枣桑竹松荷石沙泉井窑堤湾坡岭崖沟洼涧塘渠滩"
_VILLAGE_ENDS = [
    "家庄", "家营", "家屯", "家沟", "家洼", "家楼", "家寨", "家桥", "家集", "家疃", "家河", "家岭",
]  # fmt: skip
_SITE_ENDS = [
    "树庄", "林屯", "河口", "峪", "子崖", "埠", "头", "沟", "坡", "官庄",
]  # fmt: skip
_SIDES = ["", "", "", "东", "西", "南", "北", "前", "后", "大", "小", "上", "下"]
ROAD_NAMES = [
    "穗丰", "文昌", "迎宾", "育才", "建安", "福寿", "和畅", "望岳", "滨河", "农贸", "幸福", "新华",
    "桃源", "书院", "中和", "东风", "长庚", "兴业",
]  # fmt: skip

_SURNAMES = (
    "王李张刘陈杨黄赵周吴徐孙马朱胡郭何高林罗郑梁谢宋唐许邓冯韩曹曾彭肖蔡潘田董袁于余叶蒋杜苏魏程吕丁"
    "任沈姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严覃武"
    "戚莫孔向汤"
)
_MALE = (
    "伟强磊军勇涛超明刚平辉鹏华飞斌波建国志文海宇杰浩峰林森博凯旭东庆祥福贵德成永光荣义安康宝树玉振立"
    "新元亮龙生学良山松"
)
_FEMALE = (
    "芳娜敏静丽艳娟霞秀英玲桂兰梅红燕萍丹雪琳洁莹婷慧颖佳欣雅倩云凤珍香莲春花月琴素爱淑巧美荣玉彩翠菊"
    "瑞文晓思雨梦"
)


def _unique(pool: list[str], count: int, rng: np.random.Generator) -> list[str]:
    distinct = sorted(set(pool))
    return [distinct[k] for k in rng.permutation(len(distinct))[:count]]


def street_names(count: int) -> list[str]:
    """Return the names of `count` streets 街道."""
    return [f"{name}街道" for name in STREET_NAMES[:count]]


def town_names(count: int) -> list[str]:
    """Return the names of `count` towns 镇."""
    return [f"{name}镇" for name in TOWN_NAMES[:count]]


def community_names(count: int, taken: set[str], rng: np.random.Generator) -> list[str]:
    """Return `count` different names of urban communities 社区, none of them in `taken`."""
    pool = [f"{a}{b}社区" for a in _COMMUNITY_FIRST for b in _COMMUNITY_SECOND if a != b]
    return _unique([name for name in pool if name not in taken], count, rng)


def village_names(count: int, rng: np.random.Generator) -> list[str]:
    """Return `count` different names of villages 村."""
    stems = [a + b for a in _FAMILIES for b in _VILLAGE_ENDS] + [a + b for a in _SITES for b in _SITE_ENDS]
    plain = _unique(stems, count, rng)
    sides = rng.integers(0, len(_SIDES), len(plain))
    return [f"{_SIDES[k]}{stem}村" for k, stem in zip(sides, plain, strict=True)]


def person_parts() -> tuple[NDArray[np.str_], NDArray[np.float64], NDArray[np.str_]]:
    """Return surnames, their shares, and given names as an array (2, m): row 0 for women, row 1 for men."""
    surnames = np.array(list(_SURNAMES))
    share = 1.0 / (np.arange(len(surnames)) + 6)
    rows = []
    for letters in (_FEMALE, _MALE):
        doubles = [a + b for a in letters for b in letters]
        # About one given name in nine has a single character.
        rows.append(doubles + list(letters) * (len(doubles) // (8 * len(letters))))
    width = min(map(len, rows))
    rng = np.random.default_rng(0)
    return surnames, share / share.sum(), np.array([rng.permutation(row)[:width] for row in rows])
