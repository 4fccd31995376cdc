// Names of measures, and which direction is better.

const MEASURES: Readonly<Record<string, { readonly title: string; readonly better: "high" | "low" }>> = {
  precision: { title: "Precision", better: "high" },
  recall: { title: "Recall", better: "high" },
  accuracy: { title: "Accuracy", better: "high" },
  f1_score: { title: "F1 score", better: "high" },
  log_loss: { title: "Log loss", better: "low" },
  roc_auc: { title: "ROC AUC", better: "high" },
  mean_absolute_error: { title: "Mean absolute error", better: "low" },
  mean_squared_error: { title: "Mean squared error", better: "low" },
  mean_squared_log_error: { title: "Mean squared log error", better: "low" },
  median_absolute_error: { title: "Median absolute error", better: "low" },
  r2_score: { title: "R²", better: "high" },
  explained_variance: { title: "Explained variance", better: "high" },
};

export function measureTitle(name: string): string {
  return MEASURES[name]?.title ?? name;
}

/** The index of the best value; null if none is better than another. */
export function bestOf(name: string, values: readonly (number | undefined)[]): number | null {
  const better = MEASURES[name]?.better;
  const numbers = values.filter((value): value is number => value !== undefined && Number.isFinite(value));
  if (better === undefined || new Set(numbers).size < 2) return null;
  return values.indexOf(better === "high" ? Math.max(...numbers) : Math.min(...numbers));
}
