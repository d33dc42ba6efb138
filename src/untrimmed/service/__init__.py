"""A trained model behind HTTP.

The way of a request: `guarding` (token) -> `app` (parameters) -> `bodies` (to a file, under limits) -> `recordings`
(checked) -> `extraction` (videos only, in a process of their own) -> `batching` (the one thread that runs the model) ->
an answer. `work` holds these together, and counts what is held; `jobs` remembers what is asked for later.
"""
