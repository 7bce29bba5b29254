def prune(model, ratio): raise NotImplementedError
