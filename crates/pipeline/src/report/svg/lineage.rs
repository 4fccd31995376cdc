//! The graph of what was made from what: layers from left to right, by the longest way from a source.

use std::fmt::Write;

use super::frame::open;
use crate::report::data::LineageData;
use crate::report::html::esc;

const NODE_WIDTH: f64 = 156.0;
const NODE_HEIGHT: f64 = 30.0;
const GAP_X: f64 = 62.0;
const GAP_Y: f64 = 14.0;
const MARGIN: f64 = 8.0;
const NAME_CHARS_MAX: usize = 19;

/// Rounds of ordering nodes by their neighbours; more change nothing in graphs of this size.
const ORDER_ROUNDS: usize = 6;

/// Draws the graph; gives the picture and the width below which it must not shrink.
pub(crate) fn lineage(data: &LineageData) -> (String, f64) {
    let layers = order(data, layers(data));
    let tallest = layers.iter().map(Vec::len).max().unwrap_or_default().max(1);
    let width = layers.len() as f64 * (NODE_WIDTH + GAP_X) - GAP_X + 2.0 * MARGIN;
    let height = tallest as f64 * (NODE_HEIGHT + GAP_Y) - GAP_Y + 2.0 * MARGIN;
    let mut places = vec![(0.0, 0.0); data.nodes.len()];
    for (layer, nodes) in layers.iter().enumerate() {
        let used = nodes.len() as f64 * (NODE_HEIGHT + GAP_Y) - GAP_Y;
        for (row, node) in nodes.iter().enumerate() {
            let x = MARGIN + layer as f64 * (NODE_WIDTH + GAP_X);
            let y = (height - used) / 2.0 + row as f64 * (NODE_HEIGHT + GAP_Y);
            places[*node] = (x, y);
        }
    }
    let mut svg = open("Lineage: what was made from what", width, height);
    for (from, to) in &data.edges {
        let (x1, y1) = (places[*from].0 + NODE_WIDTH, places[*from].1 + NODE_HEIGHT / 2.0);
        let (x2, y2) = (places[*to].0, places[*to].1 + NODE_HEIGHT / 2.0);
        let bend = ((x2 - x1) / 2.0).max(20.0);
        let _ = write!(
            svg,
            "<path class=\"edge\" d=\"M{x1:.1} {y1:.1}C{:.1} {y1:.1} {:.1} {y2:.1} {x2:.1} {y2:.1}\"><title>{} → {}</title></path>",
            x1 + bend,
            x2 - bend,
            esc(&data.nodes[*from].name),
            esc(&data.nodes[*to].name),
        );
    }
    for (node, (x, y)) in data.nodes.iter().zip(&places) {
        let class = match node.kind.as_str() {
            "file" => "node file",
            "model" => "node model",
            _ => "node table",
        };
        let _ = write!(
            svg,
            "<g class=\"{class}\"><title>{} {}</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{NODE_WIDTH}\" height=\"{NODE_HEIGHT}\" rx=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></g>",
            esc(&node.kind),
            esc(&node.name),
            if node.kind == "model" { NODE_HEIGHT / 2.0 } else { 4.0 },
            x + NODE_WIDTH / 2.0,
            y + NODE_HEIGHT / 2.0 + 4.5,
            esc(&shorten(&node.name)),
        );
    }
    svg.push_str("</svg>");
    (svg, width)
}

/// The layer of each node is the longest way to it from a node without inputs.
fn layers(data: &LineageData) -> Vec<Vec<usize>> {
    let mut layer = vec![0usize; data.nodes.len()];
    // A graph without circles settles within as many rounds as it has nodes; a circle is cut there.
    for _ in 0..data.nodes.len() {
        let mut moved = false;
        for (from, to) in &data.edges {
            if layer[*to] <= layer[*from] && layer[*from] + 1 < data.nodes.len() {
                layer[*to] = layer[*from] + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    let depth = layer.iter().max().map_or(0, |deepest| deepest + 1);
    let mut layers = vec![Vec::new(); depth];
    for (node, layer) in layer.iter().enumerate() {
        layers[*layer].push(node);
    }
    layers.retain(|nodes| !nodes.is_empty());
    layers
}

/// Orders the nodes of each layer by the mean place of their neighbours, so that fewer edges cross.
fn order(data: &LineageData, mut layers: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let mut place = vec![0.0; data.nodes.len()];
    for round in 0..ORDER_ROUNDS {
        for nodes in &layers {
            let middle = (nodes.len() as f64 - 1.0) / 2.0;
            nodes.iter().enumerate().for_each(|(row, node)| place[*node] = row as f64 - middle);
        }
        for nodes in &mut layers {
            let mut keyed: Vec<(f64, usize)> = nodes
                .iter()
                .map(|node| {
                    let forward = round % 2 == 0;
                    let near = data.edges.iter().filter_map(|(from, to)| match forward {
                        true if to == node => Some(place[*from]),
                        false if from == node => Some(place[*to]),
                        _ => None,
                    });
                    let near: Vec<f64> = near.collect();
                    let mean = near.iter().sum::<f64>() / near.len().max(1) as f64;
                    (if near.is_empty() { place[*node] } else { mean }, *node)
                })
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            *nodes = keyed.iter().map(|(_, node)| *node).collect();
            let middle = (nodes.len() as f64 - 1.0) / 2.0;
            nodes.iter().enumerate().for_each(|(row, node)| place[*node] = row as f64 - middle);
        }
    }
    layers
}

fn shorten(name: &str) -> String {
    if name.chars().count() <= NAME_CHARS_MAX {
        name.to_owned()
    } else {
        name.chars().take(NAME_CHARS_MAX - 1).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{layers, lineage};
    use crate::report::data::{LineageData, LineageNode};

    fn graph(nodes: &[&str], edges: &[(usize, usize)]) -> LineageData {
        let node = |name: &&str| LineageNode { name: (*name).to_owned(), kind: "table".to_owned() };
        LineageData { nodes: nodes.iter().map(node).collect(), edges: edges.to_vec() }
    }

    #[test]
    fn layers_follow_the_longest_way() {
        let data = graph(&["a", "b", "c"], &[(0, 1), (1, 2), (0, 2)]);
        assert_eq!(layers(&data), vec![vec![0], vec![1], vec![2]]);
    }

    #[test]
    fn circles_and_empty_graphs_are_drawn_too() {
        assert!(lineage(&graph(&["a", "b"], &[(0, 1), (1, 0)])).0.ends_with("</svg>"));
        assert!(lineage(&graph(&[], &[])).0.ends_with("</svg>"));
    }
}
