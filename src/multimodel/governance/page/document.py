"""The whole page, with the report that it shows and its hash."""

from __future__ import annotations

import json
from hashlib import sha256

from pydantic_core import to_jsonable_python

from .charts import patterns
from .markup import Html, harmless, tag, text

__all__ = ["json_bytes", "page", "section"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser may load for the page: nothing."""
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1b1b;--soft:#595959;--rule:#c4c4c4;--paper:#fff;--mark:#44607a}
@media (prefers-color-scheme:dark){:root{--ink:#e6e6e6;--soft:#adadad;--rule:#555;--paper:#161616;--mark:#9dbbd6}}
@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--rule:#999;--paper:#fff;--mark:#555}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem;max-width:68rem;background:var(--paper);color:var(--ink);
 font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 1rem}
h2{font-size:1.25rem;margin:2.2rem 0 .6rem;padding-top:.8rem;border-top:1px solid var(--rule)}
h3{font-size:1.05rem;margin:1.4rem 0 .4rem}
p,ul,figure{margin:.5rem 0 1rem}p,li{max-width:46rem}ul{padding-left:1.2rem}
a{color:inherit}.unknown{font-style:italic;color:var(--soft)}
.wide{overflow-x:auto;margin:.5rem 0 1.4rem}
table{border-collapse:collapse;font-size:.92rem}
caption,figcaption{text-align:left;font-weight:600;padding:.2rem 0 .4rem}
caption span{display:block;position:sticky;left:0;max-width:min(46rem,calc(100vw - 2rem))}
th,td{text-align:left;vertical-align:top;padding:.3rem .9rem .3rem 0;border-bottom:1px solid var(--rule);
 overflow-wrap:normal;min-width:4rem}
thead th{font-weight:600;color:var(--soft)}tbody th{font-weight:500;overflow-wrap:anywhere;min-width:10rem}
th.figure,td.figure{text-align:right}.figure{font-variant-numeric:tabular-nums;white-space:nowrap}
.chart{list-style:none;padding:0;margin:0 0 .4rem}
.chart li{display:grid;grid-template-columns:13rem 1fr 9rem;gap:0 .8rem;align-items:center;max-width:none;
 padding:.15rem 0}
.chart.shares li{grid-template-columns:13rem 1fr}.chart .figure:empty{display:none}
.chart svg{display:block;overflow:visible}.bar{border:1px solid var(--rule)}.axis text{fill:var(--soft)}
.mark{fill:var(--mark)}.paper{fill:var(--paper)}.stroke{stroke:var(--mark);stroke-width:1.6;fill:none}
.edge{stroke:var(--ink);stroke-width:1}svg text{font-size:.8rem;fill:var(--ink)}
.halo{font-weight:700;stroke:var(--paper);stroke-width:4px;paint-order:stroke;stroke-linejoin:round}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;padding:0;margin:.3rem 0 0}
.swatch{vertical-align:middle;margin-right:.4rem}.defs{position:absolute}
footer{margin-top:2.5rem;padding-top:.8rem;border-top:1px solid var(--rule);font-size:.88rem}
code,pre{font-family:ui-monospace,monospace;font-size:.85em}pre{white-space:pre-wrap;overflow-wrap:anywhere}
@media (max-width:640px){body{padding:1rem}h1{font-size:1.4rem}
 .chart li,.chart.shares li{grid-template-columns:1fr auto;padding:.35rem 0}.chart svg{grid-row:2;grid-column:1/-1}}
@media print{body{max-width:none;padding:0;font-size:10.5pt}.wide{overflow:visible}h2,h3{break-after:avoid}
 figure,tr,.chart li{break-inside:avoid}details{display:none}a[href]::after{content:" <" attr(href) ">"}
 *{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""


def json_bytes(report: object) -> bytes:
    """Return a report as the JSON that is hashed, shown and written beside the page: UTF-8, with a line end."""
    written = json.dumps(to_jsonable_python(report), indent=2, ensure_ascii=False)
    return ("".join(one if harmless(one) else f"\\u{ord(one):04x}" for one in written) + "\n").encode()


def section(title: str, *parts: object) -> Html:
    """Return a part of a page under a heading."""
    return tag("section", tag("h2", title), *parts)


def page(title: str, *parts: object, report: bytes, lang: str = "en") -> str:
    """Return the whole page.

    :param report: what it shows, by :func:`json_bytes`.
    """
    shown = tag("details", tag("summary", "The report as JSON"), tag("pre", tag("code", report.decode())))
    seal = tag("p", "SHA-256 of this report as JSON: ", tag("code", sha256(report).hexdigest(), id="sha256"))
    head = (
        '<meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"{tag('title', title)}<style>{_STYLE}</style>"
    )
    body = tag("body", patterns(), tag("main", tag("h1", title), *parts), tag("footer", seal, shown))
    return f'<!doctype html>\n<html lang="{text(lang)}"><head>{head}</head>{body}</html>\n'
