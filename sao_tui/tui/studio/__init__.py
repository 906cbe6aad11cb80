"""The dialogs of the dataset screen: each one tool over a selection of clips, each with workers of its own."""
