"""The two-level list of categories: 20 大类 of 12 小类 each, with the departments that answer for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmgmt.errors import GridmgmtError

DEPARTMENTS = (
    "农业农村局", "水利局", "自然资源和规划局", "人力资源和社会保障局", "住房和城乡建设局",
    "综合行政执法局", "交通运输局",
    "生态环境局", "教育和体育局", "卫生健康局", "医疗保障局", "市场监督管理局", "司法局", "民政局",
    "应急管理局", "公安局",
    "商务局", "文化和旅游局", "行政审批服务局", "退役军人事务局", "残疾人联合会", "妇女联合会",
)  # fmt: skip


@dataclass(frozen=True)
class Top:
    """One 大类: who answers, how common it is per household in town and country,
    and where its matters lie."""

    name: str
    department: str
    town: float
    country: float
    place: str  # home, street or field
    subs: str
    others: tuple[tuple[str, str], ...] = ()  # (sub-category, department) where it is not the usual one


TOPS = (
    Top("农业生产", "农业农村局", 0.03, 1.0, "field",
        "农机调度排队 秸秆焚烧 占道晒粮 秋收田间道路通行 大蒜收购价格 食用菌收购价格 "
        "农资质量 病虫害防治 养殖粪污 农业保险理赔 惠农补贴发放 大棚设施用电",
        (("占道晒粮", "交通运输局"), ("大蒜收购价格", "商务局"), ("食用菌收购价格", "商务局"), ("秸秆焚烧",
         "生态环境局"))),
    Top("水利防汛", "水利局", 0.15, 1.0, "field",
        "灌溉用水纠纷 低洼地块积水内涝 沟渠淤塞 机井损坏 河道垃圾 堤坝隐患 "
        "水库管理 河道采砂 提灌站电费 饮水工程维护 排涝泵站运行 桥涵堵塞"),
    Top("土地纠纷", "自然资源和规划局", 0.1, 1.0, "field",
        "田埂地界纠纷 麦季地租结算 秋季地租结算 承包地确权 征地补偿 宅基地审批 "
        "宅基地边界 违法占地 土地流转合同 复垦质量 林权纠纷 集体机动地发包",
        (("麦季地租结算", "农业农村局"), ("秋季地租结算", "农业农村局"), ("承包地确权", "农业农村局"),
         ("田埂地界纠纷", "农业农村局"))),
    Top("劳动保障", "人力资源和社会保障局", 1.0, 0.8, "home",
        "工程项目拖欠工资 企业拖欠工资 社保缴费 工伤认定 劳动合同 加班与休假 "
        "职业介绍收费 退休待遇 失业金申领 技能培训 高温津贴 劳动仲裁进度"),
    Top("住房保障", "住房和城乡建设局", 1.0, 0.5, "home",
        "危旧房屋漏雨 公租房申请 房屋产权登记 商品房延期交付 房屋质量 老旧小区改造 "
        "房屋租赁 农村危房改造 购房合同 住房公积金 拆迁安置 加装电梯",
        (("房屋产权登记", "自然资源和规划局"),)),
    Top("物业管理", "住房和城乡建设局", 1.0, 0.03, "home",
        "物业费纠纷 物业服务质量 维修资金使用 业委会换届 小区绿化 电梯故障 "
        "小区停车收费 公共收益公示 楼道堆物 小区门禁 车库渗水 小区照明"),
    Top("城市管理", "综合行政执法局", 1.0, 0.3, "street",
        "占道经营 违法建设 垃圾清运 公厕管理 户外广告 路面破损 "
        "井盖缺失 路灯故障 行道树修剪 流浪犬只 共享单车停放 工地围挡"),
    Top("交通出行", "交通运输局", 1.0, 0.6, "street",
        "违章停车 公交线路调整 出租车服务 信号灯配时 道路拥堵 村道损坏 "
        "货车超载扬尘 校车安全 交通标线 客运班次 快递网点 停车位不足",
        (("违章停车", "公安局"), ("信号灯配时", "公安局"), ("道路拥堵", "公安局"))),
    Top("环境保护", "生态环境局", 1.0, 0.7, "street",
        "企业异味 工业废水 扬尘污染 黑臭水体 固废倾倒 机动车尾气 "
        "燃煤污染 辐射担忧 土壤污染 养殖异味 污水管网 餐厨垃圾"),
    Top("噪声油烟", "综合行政执法局", 1.0, 0.15, "street",
        "夜市噪声 露天烧烤油烟 烟花爆竹燃放扰民 施工噪声 广场舞噪声 餐饮油烟 "
        "商铺音响 交通噪声 装修噪声 空调外机 犬吠扰民 歌厅噪声",
        (("烟花爆竹燃放扰民", "应急管理局"),)),
    Top("教育", "教育和体育局", 1.0, 0.7, "home",
        "入学报名 转学手续 校园伙食 课后服务收费 校外培训退费 师德师风 "
        "学生资助 学校设施 幼儿园收费 校门口秩序 教师待遇 职业教育招生"),
    Top("医疗卫生", "卫生健康局", 1.0, 0.8, "home",
        "医保报销 就医排队 医疗费用 医患纠纷 乡村医生服务 疫苗接种 "
        "药品短缺 家庭医生签约 异地就医备案 公共场所卫生 急救服务 病案复印",
        (("医保报销", "医疗保障局"), ("医疗费用", "医疗保障局"), ("异地就医备案", "医疗保障局"))),
    Top("供热供气供水", "住房和城乡建设局", 1.0, 0.12, "home",
        "供暖温度不达标 供暖缴费开户 供热管道漏水 燃气开户 燃气安全检查 天然气价格 "
        "供水水压 供水水质 停水通知 水费核算 水表更换 二次供水"),
    Top("供电通信", "行政审批服务局", 1.0, 0.9, "home",
        "夏季停电 电压不稳 电费核算 线路老化 电动车充电桩 变压器噪声 "
        "宽带故障 手机信号弱 通信杆线杂乱 有线电视 诈骗短信 光伏并网"),
    Top("市场消费", "市场监督管理局", 1.0, 0.5, "street",
        "预付卡退款 食品安全 商品质量 价格欺诈 网购售后 虚假宣传 "
        "缺斤短两 餐饮卫生 汽车销售 家装合同 药店经营 电梯维保资质",
        (("预付卡退款", "商务局"),)),
    Top("邻里纠纷", "司法局", 0.8, 1.0, "home",
        "房屋滴漏相邻 采光通风 通道占用 院墙边界 饲养家禽 树木越界 "
        "共用水电 空调滴水 借款纠纷 口角纠纷 红白事扰民 坟地相邻"),
    Top("婚姻家庭", "妇女联合会", 1.0, 1.0, "home",
        "春节家庭矛盾 彩礼纠纷 赡养老人 子女抚养 夫妻财产 家庭暴力求助 "
        "分家析产 探望权 婚姻登记 继承纠纷 再婚家庭 青春期亲子关系",
        (("婚姻登记", "民政局"), ("继承纠纷", "司法局"))),
    Top("社会救助", "民政局", 0.6, 1.0, "home",
        "低保申请 临时救助 高龄津贴 残疾人补贴 残疾人辅具 孤儿保障 "
        "养老机构 居家养老 退役军人优待 殡葬服务 慈善救助 流动人口子女关爱",
        (("残疾人辅具", "残疾人联合会"), ("残疾人补贴", "残疾人联合会"), ("退役军人优待", "退役军人事务局"))),
    Top("安全应急", "应急管理局", 1.0, 0.8, "street",
        "消防通道堵塞 电动车飞线充电 自建房安全 燃气瓶存放 塘坝防溺水 危化品运输 "
        "老旧线路隐患 森林防火 工地安全 应急物资 校园周边安全 高空抛物"),
    Top("政务服务", "行政审批服务局", 1.0, 0.9, "home",
        "身份证办理 户籍迁移 居住证 营业执照 窗口服务态度 网上办事故障 "
        "公积金提取 驾驶证换发 村务公开 档案查询 旅游景区服务 文化活动场地",
        (("身份证办理", "公安局"), ("户籍迁移", "公安局"), ("居住证", "公安局"), ("驾驶证换发", "公安局"),
         ("村务公开", "农业农村局"),
         ("旅游景区服务", "文化和旅游局"), ("文化活动场地", "文化和旅游局"))),
)  # fmt: skip


# What lies in public space: everybody may see where one was told of.
OPEN = frozenset((
    "占道晒粮", "秋收田间道路通行", "沟渠淤塞", "河道垃圾", "堤坝隐患", "桥涵堵塞", "低洼地块积水内涝",
    "垃圾清运", "公厕管理", "户外广告", "路面破损", "井盖缺失", "路灯故障", "行道树修剪",
    "共享单车停放", "工地围挡", "占道经营", "信号灯配时", "道路拥堵", "村道损坏", "交通标线",
    "停车位不足", "货车超载扬尘", "扬尘污染", "黑臭水体", "固废倾倒", "污水管网", "夜市噪声",
    "露天烧烤油烟", "广场舞噪声", "交通噪声", "通信杆线杂乱", "消防通道堵塞",
))  # fmt: skip
# Working days in which one is answered, where it is not the flow's own.
DAYS = {
    "井盖缺失": 1, "燃气安全检查": 1, "供热管道漏水": 1, "危化品运输": 1, "夏季停电": 1, "停水通知": 1,
    "垃圾清运": 2, "施工噪声": 2, "路灯故障": 3, "信号灯配时": 3, "夜市噪声": 3, "路面破损": 5,
    "工程项目拖欠工资": 10, "企业拖欠工资": 10,
}  # fmt: skip


@dataclass(frozen=True)
class Taxonomy:
    """All 240 sub-categories as columns: `codes`, `names`, `departments`, `top` (index into `TOPS`)."""

    codes: list[str]
    names: list[str]
    departments: list[str]
    top: NDArray[np.int64]

    def index(self, name: str) -> int:
        """Return the place of a sub-category by its name."""
        return self.names.index(name)


def taxonomy() -> Taxonomy:
    """Return the sub-categories in order of code.

    Raises
    ------
    GridmgmtError
        When the list above is not 20 × 12 different names with known departments.
    """
    rows = []
    for number, top in enumerate(TOPS):
        other = dict(top.others)
        for place, sub in enumerate(top.subs.split()):
            rows.append((f"{10 + number}{place + 1:02d}", sub, other.get(sub, top.department), number))
    codes, labels, departments, tops = zip(*rows, strict=True)
    if len(set(labels)) != 240 or not set(departments) <= set(DEPARTMENTS):
        raise GridmgmtError("the category list is not 240 different names with known departments")
    if not OPEN | set(DAYS) <= set(labels):
        raise GridmgmtError("a category that is open or has days is not in the list")
    return Taxonomy(list(codes), list(labels), list(departments), np.array(tops))


def rows() -> list[tuple[str, str, str, str, str, str]]:
    """Return (code, name, parent code, department, days, open) of every category, tops first."""
    subs = taxonomy()
    tops = [(f"{10 + k}", top.name, "", top.department, "", "否") for k, top in enumerate(TOPS)]
    return tops + [
        (code, name, f"{10 + top}", department, str(DAYS.get(name, "")), "是" if name in OPEN else "否")
        for code, name, department, top in zip(
            subs.codes, subs.names, subs.departments, subs.top, strict=True
        )
    ]
