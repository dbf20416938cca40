"""One self-contained HTML page about a run or a study: tables, figures as SVG, and what wrote them. Jinja2 on use."""
