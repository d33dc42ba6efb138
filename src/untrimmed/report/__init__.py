"""One self-contained page that shows what a run came to.

`results` holds detections against the truth; `run` gathers that and all else that is known of a run into `contents`;
`page_data` makes plain values of it, and `page` one HTML file, with the script and the style in `template/`.
"""
