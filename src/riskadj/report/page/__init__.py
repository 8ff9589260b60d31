"""The page that people look at: a run folder's tables and charts in one file that stands alone.

`tables` says what is read of a run folder and packs it, `settled` adds a settlement, `content` puts
the page's data together, `render` makes HTML of it, and `build` is what others call.
"""
