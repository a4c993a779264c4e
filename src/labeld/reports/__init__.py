"""Reports as one HTML page that stands alone, and the pictures in it.

A page is plain data, and `render` writes it; every text in it is escaped, so texts of anybody may be in it:

    from labeld.reports.output import require_free, write_text
    from labeld.reports.page import Page, Paragraph, Picture, Section, Table, render
    from labeld.reports.pictures import SERIES, draw

    require_free(path, overwrite=False)  # before hours of work, not after them

    def curve(figure: Figure) -> None:  # matplotlib's; colours are those of `labeld.reports.pictures`
        figure.subplots().plot([0, 1], [1, 0.5], color=SERIES[0])

    page = Page(
        "labeld evaluate org/model",
        "872 texts of dev.tsv, in float32.",
        (
            Section(
                "Figures",
                (
                    Table(("metric", "value"), (("accuracy", "0.8956"),), numbers=(1,), caption="With intervals."),
                    Picture(draw("precision-recall", curve), "Precision falls from 1 to 0.5 as recall grows."),
                ),
            ),
        ),
    )
    write_text(path, render(page), overwrite=False)

`draw` needs matplotlib, of the extra labeld[eval], and `require_eval` says so in one sentence; `render` needs nothing.
"""
