#include "tools/report/style.h"

namespace hac::report {

// Series colours after Okabe and Ito's palette for colour-blind readers, darkened for text on a
// light page and lightened on a dark one. c0 is the baseline, c7 fitted curves.
const char* const page_style = R"css(
:root{color-scheme:light dark;--page:#fff;--ink:#1b1f24;--soft:#57606a;--grid:#e3e6ea;
--edge:#b4bac2;--card:#f6f7f9;--c0:#4d4d4d;--c1:#0072b2;--c2:#d55e00;--c3:#00815c;--c4:#a8457f;--c5:#6b4a00;
--c6:#2b8fc4;--c7:#8a919a}
@media (prefers-color-scheme:dark){:root{--page:#14171a;--ink:#e6e8eb;--soft:#a3abb5;--grid:#2b3036;
--edge:#59616b;--card:#1d2125;--c0:#c9ced4;--c1:#56b4e9;--c2:#ff8f4d;--c3:#2fc79a;--c4:#e79ac6;
--c5:#f0c040;--c6:#8fd0f5;--c7:#8c949e}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{overflow-wrap:anywhere;max-width:1180px;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .3rem}
h2{font-size:1.2rem;margin:2.2rem 0 .6rem}
h3{font-size:1.02rem;margin:0 0 .5rem}
p{margin:.3rem 0}
.soft,figcaption{color:var(--soft)}
code,pre{font-family:ui-monospace,"Cascadia Mono",Menlo,Consolas,monospace;font-size:.85em}
code{overflow-wrap:anywhere}
ul{padding-left:1.2rem;margin:.4rem 0}
li{overflow-wrap:anywhere}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.4rem .6rem;text-align:right;vertical-align:top;border-bottom:1px solid var(--grid);
white-space:nowrap}
thead th{border-bottom:2px solid var(--edge);vertical-align:bottom;font-size:.85rem}
.results th:first-child,.results td.word{text-align:left;white-space:normal;overflow-wrap:anywhere}
.results th:first-child{min-width:8.5rem}
td small,th small{display:block;color:var(--soft);font-weight:400}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,250px),1fr));gap:1rem}
.facts section{background:var(--card);border-radius:8px;padding:.8rem 1rem;min-width:0}
dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem .8rem;margin:0;font-size:.9rem}
dt{color:var(--soft)}
dd{margin:0;text-align:right;overflow-wrap:anywhere;min-width:0}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));
gap:1.2rem}
figure{margin:0;background:var(--card);border-radius:8px;padding:1rem;min-width:0}
figure.wide{grid-column:1/-1}
figcaption{font-size:.92rem;margin-top:.5rem}
figcaption b{color:var(--ink);font-weight:500;overflow-wrap:anywhere}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:1rem}
.panels.small{grid-template-columns:repeat(auto-fill,minmax(min(100%,240px),1fr));gap:.8rem}
.panels>div{min-width:0}
.panel{font-size:.88rem;line-height:1.35;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto;margin:0 auto;overflow:visible;font-family:inherit}
svg text{fill:var(--ink)}
svg .tick{fill:var(--soft)}
svg .label{fill:var(--c,var(--soft));font-size:.88em}
svg .plot{fill:var(--page);stroke:var(--edge)}
svg .grid{stroke:var(--grid);fill:none}
svg .line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round}
svg .dashed{stroke-dasharray:6 4}
svg .guide{fill:none;stroke:var(--ink);stroke-width:1.4;stroke-dasharray:2 3}
svg .bar{fill:none;stroke:var(--c);stroke-width:1.6}
svg .fill{fill:var(--c);stroke:var(--page)}
svg .hollow{fill:var(--page);stroke:var(--c);stroke-width:1.8}
svg .before{fill:var(--c7)}
svg .after{fill:var(--c1)}
.c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}
.c5{--c:var(--c5)}.c6{--c:var(--c6)}.c7{--c:var(--c7)}
details{margin-top:2rem}
summary{cursor:pointer}
pre{max-height:28rem;overflow:auto;background:var(--card);padding:1rem;border-radius:8px}
@media screen and (max-width:820px){.results thead{display:none}
.results,.results tbody,.results tr,.results td,.results th{display:block;width:100%}
.results tr{background:var(--card);border-radius:8px;margin-bottom:.8rem;padding:.5rem .8rem}
.results td,.results tbody th{border:0;padding:.15rem 0}
.results td{display:flex;justify-content:space-between;gap:1rem;white-space:normal}
.results td::before{content:attr(data-label);color:var(--soft);text-align:left}
.results td>span{text-align:right}
td small{display:inline;margin-left:.5rem}figure{padding:.6rem}}
@media print{:root{color-scheme:light;--page:#fff;--ink:#000;--soft:#444;--grid:#ddd;--edge:#999;
--card:#fff;--c0:#4d4d4d;--c1:#0072b2;--c2:#d55e00;--c3:#00815c;--c4:#a8457f;--c5:#6b4a00;
--c6:#2b8fc4;--c7:#8a919a}
body{font-size:11pt}main{max-width:none;padding:0}
figure,.results tr,.facts section{break-inside:avoid}
figure.wide{break-inside:auto}.panels>div{break-inside:avoid}
.figures{display:block}figure{margin-bottom:1rem;padding:0}details.raw{display:none}
table,thead th{font-size:7.5pt}th,td{padding:.2rem .25rem}
.results th:first-child{min-width:0}td small,th small{font-size:6.5pt}
svg{max-width:420px!important}.panels.small{grid-template-columns:repeat(3,1fr)}
.panels{grid-template-columns:repeat(2,1fr)}figure .panels>div:only-child{grid-column:1/-1}}
)css";

}  // namespace hac::report
