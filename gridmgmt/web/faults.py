"""One table from what went wrong to what the caller is told.

An error of ours says in Chinese what happened and what to do, with its own text as the detail. Anything else
shows a reference number only: the text of an unexpected error may hold data or addresses.
"""

import logging
import secrets
from dataclasses import dataclass

from flask import Flask, Response, current_app, g, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from gridmgmt.db.engine import is_away
from gridmgmt.errors import (
    ConflictError,
    GridmgmtError,
    InputError,
    NotAllowedError,
    NotEnoughDataError,
    NotFoundError,
    SetupError,
)
from gridmgmt.web import metrics
from gridmgmt.web.access import DATA

log = logging.getLogger("gridmgmt.web")


@dataclass(frozen=True)
class Words:
    """What a person reads: what happened, and what to do now."""

    title: str
    advice: str
    show_detail: bool = False


# The first class that fits decides, so the narrower ones stand first.
OURS: tuple[tuple[type[GridmgmtError], Words], ...] = (
    (NotEnoughDataError, Words("数据还不够", "请换一个更长的期间，或先导入更多年份的诉求。", True)),
    (InputError, Words("地址里有一项不对", "请返回上一页重新选择。", True)),
    (NotFoundError, Words("没有找到", "它可能已被替换，或者不在您的管辖范围。")),
    (NotAllowedError, Words("您没有查看这一页的权限", "如工作需要，请联系管理员调整账号。")),
    (ConflictError, Words("别人刚刚改过", "请刷新后再试，您的填写没有保存。")),
    (SetupError, Words("系统还没有准备好", "请联系管理员。", True)),
    (GridmgmtError, Words("没有办成", "请稍后再试；若再次出现，请告诉管理员。")),
)

HTTP = {
    400: Words("请求不完整", "请返回上一页重新操作。"),
    401: Words("请先登录", "登录后会回到您要去的页面。"),
    404: Words("没有这个页面", "请检查地址，或从上方菜单进入。"),
    405: Words("不能这样操作", "请从页面上的按钮进入。"),
    413: Words("内容太大", "请减小后再试。"),
    429: Words("密码或验证码连续输错 10 次，已暂停登录", "请 5 分钟后再试，或联系管理员重设密码。"),
}
CSRF = Words("页面已过期", "请刷新页面后重新提交，您的填写没有保存。")
UNKNOWN = Words("系统出错了", "请稍后再试；若再次出现，请把编号告诉管理员。")


def _answer(status: int, words: Words, detail: str = "", reference: str = "") -> Response:
    if request.path.startswith(DATA):
        return make_response(jsonify(error=words.title, detail=detail, reference=reference), status)
    said = {"words": words, "detail": detail, "reference": reference, "status": status}
    try:
        page = render_template("error.html", **said)
    except Exception as error:
        if not is_away(error):
            raise
        # The frame of a page asks the database who is signed in: then it is shown as to a stranger.
        g._login_user = current_app.login_manager.anonymous_user()  # type: ignore[attr-defined]
        page = render_template("error.html", **said)
    return make_response(page, status)


def _ours(error: GridmgmtError) -> Response:
    words = next(words for kind, words in OURS if isinstance(error, kind))
    # What was typed is in the text of an error that has a field, and a name may be in any other's.
    told = {"error": type(error).__name__, "field": getattr(error, "field", None)}
    if error.http_status >= 500:
        log.error("refused: %s", error, extra=told)
    else:
        log.info("refused", extra=told)
    return _answer(error.http_status, words, str(error) if words.show_detail else "")


def _http(error: HTTPException) -> Response:
    if error.response is not None:  # a redirect, or an answer made on purpose
        return error.response  # type: ignore[return-value]
    words = CSRF if isinstance(error, CSRFError) else HTTP.get(error.code or 500, UNKNOWN)
    return _answer(error.code or 500, words)


def _unreachable(error: Exception) -> Response:
    reference = noted(error, "database")
    return _answer(
        503, Words("数据库没有应答", "请稍后再试；若一直如此，请管理员检查数据库服务。"), reference=reference
    )


def _unexpected(error: Exception) -> Response:
    if is_away(error):
        return _unreachable(error)
    return _answer(500, UNKNOWN, reference=noted(error, "unexpected"))


def noted(error: Exception, kind: str) -> str:
    """Write an error into the log, count it, and return the number under which it stands there.

    Beside it stands the number of the request, under which everything else of it is found.
    """
    reference = secrets.token_hex(4).upper()
    metrics.errors.labels(kind).inc()
    log.error("reference %s", reference, extra={"error": type(error).__name__}, exc_info=error)
    return reference


def install(app: Flask) -> None:
    """Hang the table on an application."""
    app.register_error_handler(GridmgmtError, _ours)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)
