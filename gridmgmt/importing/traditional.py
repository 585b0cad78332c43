"""Traditional characters of column names, words and addresses as Simplified ones; names stay as written."""

# Character by character: Traditional, then Simplified. Only what headers, addresses and our own words need.
_PAIRS = (
    "號号樓楼棟栋單单層层門门東东區区莊庄鎮镇鄉乡縣县園园灣湾橋桥溝沟嶺岭張张劉刘陳陈楊杨趙赵黃黄吳吴孫孙馬马"
    "龍龙鳳凤澤泽廣广場场華华興兴衛卫國国豐丰寶宝銀银鐵铁鐘钟塔塔蘇苏葉叶盧卢賈贾韋韦鄒邹閻阎餘余戶户編编碼码"
    "標标記记緯纬經经電电話话機机證证份份與与關关係系類类別别據据實实訪访質质籍籍這这現现詳详細细間间門门牌牌"
    "親亲兒儿獨独殘残疾疾兒儿幫帮困困難难離离婚婚產产業业賃赁親亲屬属隨随遷迁無无歲岁學学醫医院院觀观廟庙"
    "樹树坊坊寧宁濱滨灘滩塢坞圍围聯联慶庆榮荣陽阳陰阴長长萬万億亿義义禮礼愛爱對对象象認认時时開开始始齡龄"
)
_TABLE = str.maketrans(dict(zip(_PAIRS[::2], _PAIRS[1::2], strict=True)))


def simplified(text: str) -> str:
    """Return the text with Traditional forms exchanged.

    >>> simplified("身份證號碼"), simplified("春天路12號3棟")
    ('身份证号码', '春天路12号3栋')
    """
    return text.translate(_TABLE)
