"""A page as PDF: A4 with the margins and letters of an official paper (GB/T 9704-2012).

Nothing is fetched: a page's pictures are its own bytes, it names no sheet of styles and no letter, and
whatever else asks is refused.
"""

from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from html import escape
from threading import Lock
from typing import Any

from PIL import ImageFile

from gridmgmt.errors import SetupError
from gridmgmt.incidents.papers.page import Node, Page, Picture, widths

SYSTEM_PACKAGES = ("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0")
# The letters of official papers, and free ones that stand in where they are not bought.
FANGSONG = '"FangSong", "FangSong_GB2312", "STFangsong", "Noto Serif CJK SC", "Noto Serif SC", serif'
SONG = '"SimSun", "STSong", "Noto Serif CJK SC", "Noto Serif SC", serif'
HEI = '"SimHei", "STHeiti", "Noto Sans CJK SC", "Noto Sans SC", sans-serif'
TITLE = '"FZXiaoBiaoSong-B05S", "STZhongsong", "Noto Serif CJK SC", "Noto Serif SC", serif'

STYLE = f"""
@page {{ size: A4; margin: 37mm 26mm 35mm 28mm;
  @bottom-left {{ content: element(foot); width: 70%; vertical-align: top; padding-top: 5mm }}
  @bottom-right {{ content: "— " counter(page) " —"; width: 30%; vertical-align: top; padding-top: 4mm;
    font: 14pt {SONG}; text-align: right }} }}
@page :left {{
  @bottom-left {{ content: "— " counter(page) " —"; width: 30%; vertical-align: top; padding-top: 4mm;
    font: 14pt {SONG}; text-align: left }}
  @bottom-right {{ content: element(verso); width: 70%; vertical-align: top; padding-top: 5mm }} }}
@page draft {{ @top-center {{ content: element(mark) }} }}
body {{ margin: 0; font: 16pt/28pt {FANGSONG}; text-align: justify;
  orphans: 2; widows: 2; overflow-wrap: anywhere }}
body.draft {{ page: draft }}
.foot {{ position: running(foot); margin: 0; font: 8pt/11pt {FANGSONG}; color: #555; text-indent: 0;
  text-align: left }}
.foot.verso {{ position: running(verso); text-align: right }}
.mark {{ position: running(mark); margin: 0; font: 12pt {HEI}; color: #8a1a12; text-indent: 0;
  text-align: center }}
.ghost {{ position: fixed; top: 80mm; left: 0; right: 0; margin: 0; text-align: center; text-indent: 0;
  font: 110pt/130pt {HEI}; color: #f0e4e3; transform: rotate(-35deg); z-index: -1 }}
h1 {{ margin: 0 0 14pt; font: bold 22pt/34pt {TITLE}; text-align: center; break-after: avoid }}
h2 {{ margin: 6pt 0 0; font: normal 16pt/28pt {HEI}; text-indent: 2em; break-after: avoid }}
p {{ margin: 0; text-indent: 2em }}
p.plain {{ text-indent: 0 }} p.center {{ text-align: center; text-indent: 0 }}
p.right {{ text-align: right; text-indent: 0 }}
p.signed {{ text-align: right; text-indent: 0; padding-right: 4em; break-before: avoid }}
p.small {{ font-size: 10.5pt; line-height: 16pt; text-indent: 0 }}
p.break, h2.break {{ break-before: page }}
table {{ width: 100%; border-collapse: collapse; table-layout: fixed; font-size: 12pt; line-height: 19pt;
  margin: 4pt 0 8pt }}
td, th {{ border: .75pt solid #000; padding: 4pt 5pt; text-align: left; vertical-align: middle }}
th {{ font: normal 12pt/19pt {HEI}; text-align: center }} th.left {{ text-align: left }}
tr {{ break-inside: avoid }}
td p {{ text-indent: 0 }} td.center {{ text-align: center }} td.right {{ text-align: right }}
td.tall {{ height: 52pt; vertical-align: top }} td.small {{ font-size: 10.5pt; line-height: 16pt }}
table.bare {{ font-size: 16pt; line-height: 28pt }} .bare td, .bare th {{ border: 0; padding: 0 }}
table.dense, .dense th {{ font-size: 8.5pt; line-height: 11.5pt }}
table.compact, .compact th {{ font-size: 10.5pt; line-height: 14pt }}
.dense td, .dense th, .compact td, .compact th {{ border-width: .5pt; padding: 1.5pt 3pt }}
p.masthead {{ font: bold 30pt/44pt {TITLE}; color: #c8161d; text-align: center; text-indent: 0;
  margin: 0 0 14pt }}
p.number {{ text-align: center; text-indent: 0; border-bottom: 1.5pt solid #c8161d;
  padding-bottom: 6pt; margin-bottom: 28pt }}
p.picture {{ text-indent: 0; text-align: center; line-height: 0; margin: 6pt 0; break-inside: avoid }}
p.caption {{ text-align: center; text-indent: 0; font: 12pt/19pt {HEI}; margin-top: 6pt; break-after: avoid }}
b {{ font-family: {HEI}; font-weight: normal }}
.line {{ display: inline-block; width: 6em; border-bottom: .75pt solid #000; height: 1em }}
"""

# The library that lays pages out promises nothing about threads.
_one_at_a_time = Lock()


def render(page: Page, made_at: datetime) -> bytes:
    """Return the page as PDF; SetupError when the libraries that draw letters are not installed."""
    with _one_at_a_time:
        return bytes(_document(page, made_at).write_pdf())


def laid_out(page: Page, made_at: datetime) -> Any:
    """Return the page laid out as sheets, before they are written; SetupError as `render`."""
    return _document(page, made_at).render()


def _document(page: Page, made_at: datetime) -> Any:
    try:  # it loads the system's libraries: whoever makes no paper needs none
        from weasyprint import HTML
        from weasyprint.urls import URLFetcher, URLFetcherResponse
    except OSError as why:
        wanted = " ".join(SYSTEM_PACKAGES)
        raise SetupError(f"PDF papers need the system packages {wanted}: apt-get install {wanted}") from why
    # Loading it lets the whole process take pictures that are cut off; photos that people send must be whole.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    own = {_address(each): each.png for each in _pictures(page.root)}

    class Own(URLFetcher):
        def fetch(self, url: str, headers: object = None) -> Any:
            if url not in own:
                raise ValueError("a paper fetches nothing")
            return URLFetcherResponse(url, own[url], {"Content-Type": "image/png"})

    fetcher = Own(fail_on_errors=True)
    return HTML(string=html(page, made_at), url_fetcher=fetcher, media_type="print")


def _pictures(node: Node) -> Iterator[Picture]:
    if node.picture:
        yield node.picture
    for each in node.nodes():
        yield from _pictures(each)


def _address(picture: Picture) -> str:
    return f"data:image/png;base64,{b64encode(picture.png).decode()}"


def html(page: Page, made_at: datetime) -> str:
    """Return the page as the document that is drawn: every word of it escaped, all styles our own."""
    parts = [
        '<!DOCTYPE html><html lang="zh-CN"><head><meta charset="utf-8">',
        f"<title>{escape(page.title)}</title>",
        f'<meta name="author" content="{escape(page.author)}">',
        f'<meta name="dcterms.created" content="{made_at.replace(microsecond=0).isoformat()}">',
        f"<style>{STYLE}</style></head><body{' class=draft' if page.draft else ''}>",
        f'<p class="foot">{escape(page.foot)}</p><p class="foot verso">{escape(page.foot)}</p>',
        f'<p class="mark">{escape(page.mark)}</p><p class="ghost">草稿</p>' if page.draft else "",
    ]
    parts += [_html(each) for each in page.root.nodes()]
    return "".join(parts) + "</body></html>"


def _html(node: Node | str) -> str:
    if isinstance(node, str):
        return escape(node)
    if node.tag == "br":
        return "<br>"
    if node.picture:
        size = f"width: {node.picture.width:g}mm; height: {node.picture.height:g}mm"
        return f'<img style="{size}" alt="{escape(node.picture.says)}" src="{_address(node.picture)}">'
    said = f' class="{" ".join(sorted(node.classes))}"' if node.classes else ""
    for name in ("colspan", "rowspan"):
        if getattr(node, name) > 1:
            said += f' {name}="{getattr(node, name)}"'
    inside = "".join(_html(each) for each in node.children)
    if node.tag == "table":
        inside = "".join(f'<col style="width: {each:.2%}">' for each in widths(node)) + inside
    return f"<{node.tag}{said}>{inside}</{node.tag}>"
